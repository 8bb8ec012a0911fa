// SPDX-License-Identifier: Apache-2.0
//
// A GGUF file of any header, right or wrong, for tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/file_checks.h"

namespace trimtab::test {

template <typename T>
std::string number(T value) {
  return bytes_of(std::vector<T>{value});
}

inline std::string gguf_text(std::string_view text) {
  return number<std::uint64_t>(text.size()) + std::string(text);
}

// The format's numbers of value types.
enum GgufValue : std::uint32_t { kU32 = 4, kF32 = 6, kBool = 7, kText = 8, kArray = 9, kU64 = 10 };

struct GgufBytes {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t added_tensors = 0, added_pairs = 0;  // that the header promises and that are not there
  std::size_t alignment = 32;
  std::vector<std::string> pairs, tensors;
  std::string data;

  GgufBytes& pair(std::string_view key, std::uint32_t type, const std::string& value) {
    pairs.push_back(gguf_text(key) + number(type) + value);
    return *this;
  }
  GgufBytes& integer(std::string_view key, std::uint32_t value) { return pair(key, kU32, number(value)); }
  GgufBytes& real(std::string_view key, float value) { return pair(key, kF32, number(value)); }
  GgufBytes& text(std::string_view key, std::string_view value) { return pair(key, kText, gguf_text(value)); }
  // `dims` as in the file: the fastest first. `type` is ggml's number, 0 for F32.
  GgufBytes& info(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                  std::uint64_t offset) {
    tensors.push_back(gguf_text(name) + number(static_cast<std::uint32_t>(dims.size())) + bytes_of(dims) +
                      number(type) + number(offset));
    return *this;
  }
  // A tensor of float32 behind those that are there.
  GgufBytes& floats(std::string_view name, const std::vector<std::uint64_t>& dims,
                    const std::vector<float>& values) {
    info(name, dims, 0, data.size());
    data += bytes_of(values);
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    return *this;
  }

  std::string bytes() const {
    std::string file =
        magic + number(version) + number(tensors.size() + added_tensors) + number(pairs.size() + added_pairs);
    for (const std::string& part : pairs) file += part;
    for (const std::string& part : tensors) file += part;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data;
  }
};

}  // namespace trimtab::test
