// SPDX-License-Identifier: Apache-2.0
#include "runtime/utf8.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace trimtab {
namespace {

struct Sequence {
  std::size_t bytes;  // that begin a well-formed sequence; 1 for a byte that begins none
  bool whole;
};

// The sequence at the front of `text`, which is not empty (Unicode 15, table 3-7).
Sequence sequence_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  std::size_t fits = 1;
  while (fits < length && fits < text.size() && byte(fits) >= (fits == 1 ? low : 0x80u) &&
         byte(fits) <= (fits == 1 ? high : 0xBFu))
    ++fits;
  return {fits, fits == length};
}

std::size_t ascii_prefix(std::string_view text) {
  std::size_t at = 0;
  for (std::uint64_t word = 0; at + sizeof(word) <= text.size(); at += sizeof(word)) {
    std::memcpy(&word, text.data() + at, sizeof(word));
    if ((word & 0x8080808080808080u) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

constexpr std::array<std::string_view, 25> kSpaces = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
    "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
    "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
    "\xE3\x80\x80"};

}  // namespace

std::size_t utf8_sequence_length(std::string_view text) {
  if (text.empty()) return 0;
  const Sequence sequence = sequence_at(text);
  return sequence.whole ? sequence.bytes : 0;
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  std::size_t at = ascii_prefix(text);
  while (at < text.size()) {
    const Sequence sequence = sequence_at(text.substr(at));
    if (!sequence.whole) return at;
    at += sequence.bytes;
  }
  return std::nullopt;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  while (const auto bad = find_invalid_utf8(text)) {
    out.append(text.substr(0, *bad)).append("\xEF\xBF\xBD");
    text.remove_prefix(*bad);
    text.remove_prefix(sequence_at(text).bytes);
  }
  return out.append(text);
}

std::size_t leading_space(std::string_view text) {
  std::size_t at = 0;
  for (;;) {
    const auto space = std::ranges::find_if(kSpaces, [&](auto s) { return text.substr(at).starts_with(s); });
    if (space == kSpaces.end()) return at;
    at += space->size();
  }
}

std::size_t trailing_space(std::string_view text) {
  const std::size_t whole = text.size();
  for (;;) {
    const auto space = std::ranges::find_if(kSpaces, [&](auto s) { return text.ends_with(s); });
    if (space == kSpaces.end()) return whole - text.size();
    text.remove_suffix(space->size());
  }
}

}  // namespace trimtab
