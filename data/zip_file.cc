// SPDX-License-Identifier: Apache-2.0
//
// Layout: PKWARE APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end record).
#include "data/zip_file.h"

#include <zlib.h>

#include <cstdint>

#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kCentralHeader = 0x02014b50;
constexpr std::size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22;

// Little-endian fields, checked against the end of the file.
class Fields {
 public:
  Fields(const std::string& path, std::string_view bytes) : path_(path), bytes_(bytes) {}

  std::string_view part(std::size_t at, std::size_t count) const {
    if (at > bytes_.size() || count > bytes_.size() - at)
      fail("{}: damaged or cut zip file: {} bytes at {} of {}", path_, count, at, bytes_.size());
    return bytes_.substr(at, count);
  }
  std::uint32_t number(std::size_t at, std::size_t count) const {
    std::uint32_t value = 0;
    const std::string_view bytes = part(at, count);
    for (std::size_t i = 0; i < count; ++i)
      value |= std::uint32_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    return value;
  }

 private:
  const std::string& path_;
  std::string_view bytes_;
};

// The end record is the last one: it is searched from the back, since a comment may follow it.
std::size_t find_end_record(const std::string& path, std::string_view bytes) {
  const std::size_t at = bytes.rfind("PK\x05\x06");
  if (at == std::string_view::npos || bytes.size() - at < kEndSize)
    fail("{}: damaged or cut zip file: no end record; copy it again", path);
  return at;
}

std::string inflate_member(const std::string& name, std::string_view packed, std::size_t size) {
  std::string out(size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail("{}: zlib could not start", name);
  char none = 0;  // zlib wants a valid pointer for an empty member as well
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(size > 0 ? out.data() : &none);
  stream.avail_out = static_cast<uInt>(size);
  const int state = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (state != Z_STREAM_END || stream.total_out != size) fail("{}: damaged zip member", name);
  return out;
}

TextFile read_member(const std::string& path, const Fields& fields, std::size_t header) {
  const std::uint32_t flags = fields.number(header + 8, 2), method = fields.number(header + 10, 2);
  const std::uint32_t crc = fields.number(header + 16, 4), packed_size = fields.number(header + 20, 4);
  const std::uint32_t size = fields.number(header + 24, 4), offset = fields.number(header + 42, 4);
  TextFile file{path + ":" + std::string(fields.part(header + kCentralSize, fields.number(header + 28, 2))),
                {}};
  if ((flags & 1u) != 0) fail("{}: is encrypted; unpack the zip file first", file.name);
  if (packed_size == 0xffffffffu || size == 0xffffffffu)
    fail("{}: zip64 is not read; unpack it first", file.name);
  if (method != 0 && method != 8) fail("{}: zip method {} is not read; unpack it first", file.name, method);
  if (fields.number(offset, 4) != kLocalHeader)
    fail("{}: damaged zip file: no header at {}", file.name, offset);
  const std::size_t start =
      offset + kLocalSize + fields.number(offset + 26, 2) + fields.number(offset + 28, 2);
  const std::string_view packed = fields.part(start, packed_size);
  file.text = method == 0 ? std::string(packed) : inflate_member(file.name, packed, size);
  const auto* text = reinterpret_cast<const Bytef*>(file.text.data());
  if (crc32(0, text, static_cast<uInt>(file.text.size())) != crc)
    fail("{}: damaged zip member: its checksum is wrong; copy the file again", file.name);
  return file;
}

// Calls `visit(name, header)` with each member but folders until it returns false.
void for_each_member(const std::string& path, const Fields& fields, std::size_t end,
                     const std::function<bool(std::string_view, std::size_t)>& visit) {
  std::size_t header = fields.number(end + 16, 4);
  for (std::uint32_t left = fields.number(end + 10, 2); left > 0; --left) {
    if (fields.number(header, 4) != kCentralHeader)
      fail("{}: damaged zip file: no entry at {}", path, header);
    const std::uint32_t name_size = fields.number(header + 28, 2);
    const std::string_view name = fields.part(header + kCentralSize, name_size);
    if (!name.ends_with('/') && !visit(name, header)) return;
    header += kCentralSize + name_size + fields.number(header + 30, 2) + fields.number(header + 32, 2);
  }
}

}  // namespace

bool is_zip(std::string_view bytes) {
  return bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06");
}

std::vector<TextFile> unzip(const std::string& path, std::string_view bytes) {
  const Fields fields(path, bytes);
  std::vector<TextFile> files;
  for_each_member(path, fields, find_end_record(path, bytes), [&](std::string_view, std::size_t header) {
    files.push_back(read_member(path, fields, header));
    return true;
  });
  return files;
}

std::optional<TextFile> unzip_member(const std::string& path, std::string_view bytes,
                                     const std::function<bool(std::string_view)>& wanted) {
  const Fields fields(path, bytes);
  std::optional<TextFile> file;
  for_each_member(path, fields, find_end_record(path, bytes), [&](std::string_view name, std::size_t header) {
    if (wanted(name)) file = read_member(path, fields, header);
    return !file.has_value();
  });
  return file;
}

}  // namespace trimtab
