// SPDX-License-Identifier: Apache-2.0
#include "data/text_file.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "data/zip_file.h"
#include "runtime/check.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string gunzip(const std::string& path, std::string_view packed) {
  z_stream stream{};
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) fail("{}: zlib could not start", path);
  std::string out;
  std::string block(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  int state = Z_OK;
  while (state == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(block.data(), block.size() - stream.avail_out);
    // gzip files may be concatenated; the next member starts where this one ended.
    if (state == Z_STREAM_END && stream.avail_in > 0) state = inflateReset(&stream);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END)
    fail("{}: damaged or cut gzip file (after {} unpacked bytes); copy it again", path, out.size());
  return out;
}

}  // namespace

std::string read_bytes(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) fail("{}: is a folder, not a file", path);
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("{}: cannot be read: {}", path, std::strerror(errno));
  std::string bytes;
  std::error_code no_size;  // of a pipe
  const auto size = std::filesystem::file_size(path, no_size);
  if (!no_size) bytes.reserve(size);  // growing by doubling would hold up to three times as much
  std::string block(1 << 16, '\0');
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0)
    bytes.append(block, 0, static_cast<std::size_t>(in.gcount()));
  if (in.bad()) fail("{}: reading failed: {}", path, std::strerror(errno));
  return bytes;
}

std::string read_unpacked(const std::string& path) {
  std::string bytes = read_bytes(path);
  if (bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b') return gunzip(path, bytes);
  return bytes;
}

TextFile read_text(const std::string& path) { return {path, read_unpacked(path)}; }

std::vector<TextFile> read_texts(const std::string& path) {
  std::string bytes = read_unpacked(path);
  if (is_zip(bytes)) return unzip(path, bytes);
  std::vector<TextFile> files;
  files.push_back({path, std::move(bytes)});
  return files;
}

void for_each_line(const TextFile& file, const std::function<void(std::string_view, std::size_t)>& visit,
                   InvalidUtf8 invalid) {
  std::string_view rest = file.text;
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  std::size_t number = 0;
  while (!rest.empty()) {
    ++number;
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto bad = find_invalid_utf8(line);
    if (!bad) {
      visit(line, number);
    } else if (invalid == InvalidUtf8::kReplace) {
      visit(replace_invalid_utf8(line), number);
    } else {
      fail("{}:{}: byte 0x{:02x} at column {} is no UTF-8; convert the file (iconv -t UTF-8)", file.name,
           number, static_cast<unsigned char>(line[*bad]), *bad + 1);
    }
  }
}

void for_each_line(const std::string& path, const std::function<void(std::string_view, std::size_t)>& visit) {
  const TextFile file{path, read_unpacked(path)};
  if (file.text.empty()) fail("{}: the file is empty", path);
  for_each_line(file, visit);
}

}  // namespace trimtab
