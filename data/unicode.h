// SPDX-License-Identifier: Apache-2.0
//
// Code points of UTF-8 text, and what Python's str methods and regular expressions take them for: the
// references of texts and metrics are Python programs. Letters and their cases are those of the C library's
// locale C.UTF-8. Bytes that are no UTF-8 count as one code point each, U+FFFD.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace trimtab {

// Takes the first code point off a text that is not empty.
char32_t take_code_point(std::string_view& rest);

// Position of the first byte of code point `index`, or the size of the text if there are not more than that.
std::size_t byte_of_code_point(std::string_view text, std::size_t index);

// str.split() splits here.
bool is_space(char32_t c);
// \w: letters, digits and '_'. C.UTF-8 has combining marks among the letters and no fractions among the
// digits.
bool is_word(char32_t c);
// ASCII punctuation, string.punctuation.
bool is_punctuation(char32_t c);

// str.lower(), but for sigma, which has another form at the end of a word.
std::string to_lower(std::string_view text);

}  // namespace trimtab
