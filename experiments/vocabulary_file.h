// SPDX-License-Identifier: Apache-2.0
//
// Where the vocabulary of a run comes from.
#pragma once

#include <memory>
#include <string>

#include "data/tokenizer.h"
#include "models/family.h"

namespace trimtab {

// The path of the vocabulary: `named` if it is not empty, else the one beside the weights, else the one
// inside them, which is written to `folder`. Throws ConfigError that says what to set when there
// is none.
std::string vocabulary_file(const std::string& named, const TokenizerFile& tokenizer,
                            const std::string& weights, const std::string& folder);

// The vocabulary itself, from a file of its own or out of a GGUF; `named` and `folder` as above. A
// SentencePiece model has T5's sentinels on top only beside an encoder-decoder. Throws what reading it
// throws.
std::unique_ptr<Tokenizer> open_vocabulary(const std::string& named, const BaseModel& model,
                                           const std::string& folder);

}  // namespace trimtab
