// SPDX-License-Identifier: Apache-2.0
//
// Tokens that are found in a text as they are written, before anything is cut or merged: "<|im_start|>",
// "<think>". Semantics are those of Hugging Face's AddedVocabulary.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer.h"

namespace trimtab {

struct AddedToken {
  std::string text{};
  TokenId id = 0;
  bool special = true;      // found only where SpecialText lets it be, and left out on decoding
  bool strip_left = false;  // takes the white space on its left, or right, with it
  bool strip_right = false;
  bool normalized = false;  // looked for after the text was normalised, and normalised itself
};

class AddedTokenFinder {
 public:
  // Throws Error that names `place` if a token has no text.
  AddedTokenFinder(std::vector<AddedToken> tokens, std::string_view place);

  struct Found {
    std::size_t begin;
    std::size_t end;
    TokenId id;
  };
  // The first token in text[from, ...): the leftmost, and of those the longest. Special tokens that are to
  // stay plain hide those inside them all the same.
  std::optional<Found> next(std::string_view text, std::size_t from, SpecialText special) const;

 private:
  std::vector<AddedToken> tokens_;          // by first byte, longest first
  std::array<std::uint32_t, 257> begin_{};  // tokens_[begin_[b], begin_[b + 1]) begin with the byte b
};

// `text` without what is no UTF-8 (`made` holds it if there was any), and the part that stays plain moved
// with it.
std::string_view valid_text(std::string_view text, SpecialText& special, std::string& made);

}  // namespace trimtab
