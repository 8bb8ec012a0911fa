// SPDX-License-Identifier: Apache-2.0
//
// UTF-8: what is well-formed, and how characters are laid out in text that is.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace trimtab {

// Bytes of the well-formed sequence at the front of a text, or 0 if there is none.
std::size_t utf8_sequence_length(std::string_view text);

// Position of the first byte that is not part of a well-formed UTF-8 sequence (overlong forms, surrogates and
// values above U+10FFFF are ill-formed).
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

// A copy in which each maximal part of an ill-formed sequence is one U+FFFD (Unicode 15, section 3.9), as
// Python's bytes.decode("utf-8", "replace") and Rust's from_utf8_lossy have it.
std::string replace_invalid_utf8(std::string_view text);

// Bytes of the character that begins with `first`, in well-formed text.
constexpr std::size_t utf8_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// Bytes of white space (the Unicode property White_Space) at the front and at the end of well-formed text.
std::size_t leading_space(std::string_view text);
std::size_t trailing_space(std::string_view text);

}  // namespace trimtab
