// SPDX-License-Identifier: Apache-2.0
#include "models/formats/npy.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "models/formats/mapped_file.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

struct Header {
  std::string descr;
  bool fortran = false;
  Shape shape;
};

// Reads the one Python literal that the format allows: a dict of 'descr', 'fortran_order' and 'shape'.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  Header parse() {
    Header header;
    bool descr = false, fortran = false, shape = false;
    need('{');
    while (!take('}')) {
      const std::string key = text();
      need(':');
      if (key == "descr" && !descr) {
        header.descr = text();
        descr = true;
      } else if (key == "fortran_order" && !fortran) {
        header.fortran = truth();
        fortran = true;
      } else if (key == "shape" && !shape) {
        header.shape = numbers();
        shape = true;
      } else {
        wrong("an unexpected or repeated key '" + key + "'");
      }
      if (!take(',')) {
        need('}');
        break;
      }
    }
    skip_space();
    if (!descr || !fortran || !shape || at_ != text_.size())
      wrong("not exactly descr, fortran_order and shape");
    return header;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const {
    fail("{}: the .npy header is malformed: {} near character {} of \"{}\"", path_, what, at_, text_);
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool take(char symbol) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != symbol) return false;
    ++at_;
    return true;
  }
  void need(char symbol) {
    if (!take(symbol)) wrong(std::string("no '") + symbol + "'");
  }
  std::string text() {
    const char quote = take('"') ? '"' : '\'';
    if (quote == '\'') need('\'');
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) wrong("an open string");
    const std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }
  bool truth() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return word == "True";
    }
    wrong("neither True nor False");
  }
  Shape numbers() {
    Shape shape;
    need('(');
    while (!take(')')) {
      skip_space();
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
      if (error != std::errc() || value < 0) wrong("no whole number");
      at_ = static_cast<std::size_t>(end - text_.data());
      shape.push_back(value);
      if (!take(',')) {
        need(')');
        break;
      }
    }
    return shape;
  }

  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
};

// The header's text and where the data begins.
std::pair<std::string_view, std::size_t> header_text(std::string_view bytes, const std::string& path) {
  if (bytes.size() < 10 || bytes.substr(0, kMagic.size()) != kMagic)
    fail("{}: not a .npy file: it does not begin with \\x93NUMPY", path);
  const int major = static_cast<unsigned char>(bytes[6]);
  if (major < 1 || major > 3) fail("{}: .npy version {} is not known, versions 1 to 3 are", path, major);
  const std::size_t digits = major == 1 ? 2 : 4;
  std::size_t length = 0;
  for (std::size_t i = 0; i < digits && 8 + i < bytes.size(); ++i)
    length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[8 + i])) << (8 * i);
  const std::size_t begin = 8 + digits;
  if (begin > bytes.size() || length > bytes.size() - begin)
    fail("{}: the header should have {} bytes, the file has {}: it is cut off", path, length, bytes.size());
  return {bytes.substr(begin, length), begin + length};
}

template <typename T>
std::vector<float> floats(const std::byte* bytes, std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
    values[i] = static_cast<float>(value);
  }
  return values;
}

// From the first index fastest to the last index fastest.
std::vector<float> transposed(const std::vector<float>& values, const Shape& shape) {
  std::vector<float> result(values.size());
  std::vector<std::size_t> at(shape.size(), 0);
  for (const float value : values) {
    std::size_t place = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) place = place * static_cast<std::size_t>(shape[i]) + at[i];
    result[place] = value;
    for (std::size_t i = 0; i < shape.size() && ++at[i] == static_cast<std::size_t>(shape[i]); ++i) at[i] = 0;
  }
  return result;
}

}  // namespace

NpyArray read_npy(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  const auto [text, begin] =
      header_text(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), path);
  Header header = HeaderParser(text, path).parse();
  const bool single = header.descr == "<f4";
  if (!single && header.descr != "<f8")
    fail("{}: elements of type '{}' are not read, only '<f4' and '<f8': convert with array.astype('<f4')",
         path, header.descr);
  const std::size_t element = single ? 4 : 8;
  const auto count = static_cast<std::size_t>(element_count(header.shape));
  const std::size_t given = bytes.size() - begin;
  if (given % element != 0 || given / element != count)
    fail("{}: the shape {} of '{}' needs {} elements of {} bytes, the file has {} bytes of data", path,
         to_string(header.shape), header.descr, count, element, given);
  const std::byte* data = bytes.data() + begin;
  std::vector<float> values = single ? floats<float>(data, count) : floats<double>(data, count);
  if (header.fortran) values = transposed(values, header.shape);
  return {std::move(header.shape), std::move(values)};
}

void write_npy(const std::string& path, const Shape& shape, std::span<const float> values) {
  TT_CHECK(element_count(shape) == static_cast<std::int64_t>(values.size()), "{}: {} values for the shape {}",
           path, values.size(), to_string(shape));
  std::string dims;
  for (const std::int64_t dim : shape) dims += fmt::format("{},{}", dim, shape.size() > 1 ? " " : "");
  if (shape.size() > 1) dims.resize(dims.size() - 2);  // NumPy writes (2, 3) and (2,)
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", dims);
  // Magic, version, length, header and line end fill a multiple of 64 bytes, so that the data is aligned.
  const std::size_t total = (10 + header.size() + 1 + 63) / 64 * 64;
  header.resize(total - 10 - 1, ' ');
  header += '\n';
  TT_CHECK(header.size() < 65536, "{}: {} dims are too many for .npy 1.0", path, shape.size());
  std::string front(kMagic);
  front += {'\x01', '\x00', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  AtomicFile file(path);
  file.write(front);
  file.write(header);
  file.write(values.data(), values.size_bytes());
  file.commit();
}

}  // namespace trimtab
