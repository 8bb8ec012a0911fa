// SPDX-License-Identifier: Apache-2.0
//
// Hugging Face's tokenizer.json, as far as models of type BPE go. What it does not say, namely which tokens
// end, begin and pad a text, stands in tokenizer_config.json or special_tokens_map.json beside it.
#pragma once

#include <string>

#include "data/tokenizers/bpe_vocabulary.h"

namespace trimtab {

// Reads the file and those beside it. Throws Error for a missing or damaged file, ConfigError that names
// whatever is asked for and not supported: nothing is left out silently.
BpeVocabulary read_tokenizer_json(const std::string& path);

// The same of bytes: the file, and the one beside it ("" if there is none).
BpeVocabulary parse_tokenizer_json(const std::string& path, const std::string& bytes,
                                   const std::string& config_path, const std::string& config_bytes);

}  // namespace trimtab
