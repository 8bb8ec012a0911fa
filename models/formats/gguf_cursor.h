// SPDX-License-Identifier: Apache-2.0
//
// Reads the numbers and texts of a GGUF header one behind the other and never beyond the end of the file. For
// the readers of that format only.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "runtime/check.h"

namespace trimtab {

static_assert(std::endian::native == std::endian::little,
              "GGUF files are little endian and are read as they lie");

class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  const std::string& path() const { return path_; }
  std::size_t place() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }

  // `what` ends the sentence "the file is cut off in ...".
  std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
    if (count > left())
      fail("{}: {} needs {} bytes from byte {} on, the file has {}: it is cut off or damaged", path_, what,
           count, at_, bytes_.size());
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(count));
    at_ += taken.size();
    return taken;
  }
  template <typename T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  std::string_view text(std::string_view what) {
    const auto bytes = take(number<std::uint64_t>(what), what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // A text that stands for something and is quoted in messages: printable ASCII, at most 65,535 characters,
  // as the format demands of keys.
  std::string name(std::string_view what) {
    constexpr std::size_t kLongest = 65535;
    const std::size_t begin = at_;
    const std::string_view text = this->text(what);
    bool good = !text.empty() && text.size() <= kLongest;
    for (std::size_t i = 0; good && i < text.size(); ++i) good = text[i] >= ' ' && text[i] <= '~';
    if (!good)
      fail("{}: {} at byte {} is empty, longer than {} or not printable ASCII: the file is damaged", path_,
           what, begin, kLongest);
    return std::string(text);
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& path_;
  std::size_t at_ = 0;
};

}  // namespace trimtab
