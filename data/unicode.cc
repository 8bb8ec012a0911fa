// SPDX-License-Identifier: Apache-2.0
#include "data/unicode.h"

#include <locale.h>
#include <wctype.h>

#include "runtime/check.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

locale_t utf8_locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  TT_CHECK(locale != nullptr, "the C library has no locale C.UTF-8 (Debian's package libc-bin)");
  return locale;
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace

char32_t take_code_point(std::string_view& rest) {
  const std::size_t length = utf8_sequence_length(rest);
  const auto first = static_cast<unsigned char>(rest.front());
  if (length == 0) {
    rest.remove_prefix(1);
    return 0xFFFD;
  }
  char32_t c = length == 1 ? first : first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) c = (c << 6) | (static_cast<unsigned char>(rest[i]) & 0x3Fu);
  rest.remove_prefix(length);
  return c;
}

std::size_t byte_of_code_point(std::string_view text, std::size_t index) {
  std::string_view rest = text;
  while (index-- > 0 && !rest.empty()) take_code_point(rest);
  return text.size() - rest.size();
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_word(char32_t c) { return c == '_' || iswalnum_l(static_cast<wint_t>(c), utf8_locale()) != 0; }

bool is_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    // The one letter whose lower case is more than one code point.
    if (c == U'\u0130') {
      out += "i\u0307";
      continue;
    }
    append_utf8(out, static_cast<char32_t>(towlower_l(static_cast<wint_t>(c), utf8_locale())));
  }
  return out;
}

}  // namespace trimtab
