// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/byte_alphabet.h"

namespace trimtab {
namespace {

// Printable Latin-1 stands for itself; the other 68 bytes follow each other from U+0100 on.
constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

std::string utf8_of(unsigned code) {  // below U+0800
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

std::array<std::string, 256> make_spellings() {
  std::array<std::string, 256> spellings;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) spellings[byte] = utf8_of(is_printable(byte) ? byte : next++);
  return spellings;
}

// Byte of each character below U+0200, or -1.
std::array<int, 0x200> make_bytes() {
  std::array<int, 0x200> bytes;
  bytes.fill(-1);
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte)
    bytes[static_cast<std::size_t>(is_printable(static_cast<unsigned>(byte)) ? byte : next++)] = byte;
  return bytes;
}

}  // namespace

const std::array<std::string, 256>& byte_spellings() {
  static const std::array<std::string, 256> spellings = make_spellings();
  return spellings;
}

std::optional<std::string> spelled_bytes(std::string_view piece) {
  static const std::array<int, 0x200> bytes = make_bytes();
  std::string out;
  for (std::size_t at = 0; at < piece.size(); ++at) {
    unsigned code = static_cast<unsigned char>(piece[at]);
    if (code >= 0x80) {
      if (code < 0xC2 || code > 0xC7 || at + 1 == piece.size()) return std::nullopt;
      code = ((code & 0x1F) << 6) | (static_cast<unsigned char>(piece[++at]) & 0x3F);
    }
    if (bytes[code] < 0) return std::nullopt;
    out += static_cast<char>(bytes[code]);
  }
  return out;
}

}  // namespace trimtab
