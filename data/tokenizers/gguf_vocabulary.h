// SPDX-License-Identifier: Apache-2.0
//
// A BPE vocabulary from what a GGUF file says under tokenizer.ggml. Whoever reads the file fills the struct.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizers/bpe_vocabulary.h"

namespace trimtab {

// Each member is the key tokenizer.ggml.<member>; an absent key is empty.
struct GgufVocabulary {
  std::string path{};   // of the file, for messages
  std::string model{};  // "gpt2" (byte-level) or "llama" (SentencePiece)
  std::string pre{};    // how the text is cut, for "gpt2"
  std::vector<std::string> tokens{};
  std::vector<std::int32_t> token_type{};
  std::vector<float> scores{};
  std::vector<std::string> merges{};  // "Ġ t", best first
  std::optional<std::int64_t> bos_token_id{};
  std::optional<std::int64_t> eos_token_id{};
  std::optional<std::int64_t> padding_token_id{};
  std::optional<std::int64_t> unknown_token_id{};
  std::optional<bool> add_bos_token{};
  std::optional<bool> add_space_prefix{};
};

// Control tokens become special ones, user-defined tokens are found in any text. Throws ConfigError for
// models and cuts that are not supported, Error for lists that contradict each other.
BpeVocabulary bpe_vocabulary(GgufVocabulary gguf);

}  // namespace trimtab
