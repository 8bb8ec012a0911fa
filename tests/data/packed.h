// SPDX-License-Identifier: Apache-2.0
//
// Packed files for tests, made here so that no binary is needed.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trimtab {

inline std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string little_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
  return out;
}

// A zip file whose members are stored as they are; a name that ends in '/' is a folder. `method` is what the
// headers say of the members that are none.
inline std::string stored_zip(const std::vector<std::pair<std::string, std::string>>& members,
                              std::uint32_t method = 0) {
  std::string files, directory;
  for (const auto& [name, text] : members) {
    const auto* bytes = reinterpret_cast<const Bytef*>(text.data());
    const auto crc = static_cast<std::uint32_t>(crc32(0, bytes, static_cast<uInt>(text.size())));
    const std::string common =
        little_endian(20, 2) + little_endian(0, 2) + little_endian(name.ends_with('/') ? 0 : method, 2) +
        little_endian(0, 4) + little_endian(crc, 4) + little_endian(text.size(), 4) +
        little_endian(text.size(), 4) + little_endian(name.size(), 2) + little_endian(0, 2);
    directory += "PK\x01\x02" + little_endian(20, 2) + common + std::string(10, '\0') +
                 little_endian(files.size(), 4) + name;
    files += "PK\x03\x04" + common + name + text;
  }
  return files + directory + "PK\x05\x06" + little_endian(0, 4) + little_endian(members.size(), 2) +
         little_endian(members.size(), 2) + little_endian(directory.size(), 4) +
         little_endian(files.size(), 4) + little_endian(0, 2);
}

}  // namespace trimtab
