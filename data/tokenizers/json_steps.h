// SPDX-License-Identifier: Apache-2.0
//
// The parts of a tokenizer.json around its model. Each takes null for "none", and throws ConfigError that
// names a kind or option that is not supported.
#pragma once

#include "data/tokenizers/bpe_vocabulary.h"
#include "data/tokenizers/json_value.h"

namespace trimtab {

void read_normalizer(const JsonValue& normalizer, BpeVocabulary& vocabulary);
// Sets byte_level, too: ByteLevel has to be the last step.
void read_pre_tokenizer(const JsonValue& pre_tokenizer, BpeVocabulary& vocabulary);
// Sets strip_blank. The pieces say how the rest is decoded.
void read_decoder(const JsonValue& decoder, BpeVocabulary& vocabulary);
// The id of the token that is put in front of each text, if there is one. Tokens behind a text are the
// business of whoever makes the text's end.
std::optional<TokenId> read_post_processor(const JsonValue& post_processor);

}  // namespace trimtab
