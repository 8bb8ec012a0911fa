// SPDX-License-Identifier: Apache-2.0
#include "data/text_file.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "data/zip_file.h"
#include "runtime/check.h"

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

// The table of well-formed sequences is Unicode 15, 3-7.
std::size_t utf8_sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto in = [&](std::size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t length = utf8_sequence_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  while (const auto bad = find_invalid_utf8(text)) {
    out.append(text.substr(0, *bad)).append("\xEF\xBF\xBD");
    text.remove_prefix(*bad + 1);
  }
  return out.append(text);
}

std::string read_bytes(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) fail("{}: is a folder, not a file", path);
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("{}: cannot be read: {}", path, std::strerror(errno));
  std::ostringstream bytes;
  bytes << in.rdbuf();
  if (in.bad()) fail("{}: reading failed: {}", path, std::strerror(errno));
  return std::move(bytes).str();
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
