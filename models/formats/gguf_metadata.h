// SPDX-License-Identifier: Apache-2.0
//
// The key-value pairs of a GGUF file: hyperparameters ("llama.block_count"), the tokenizer
// ("tokenizer.ggml.tokens"). The values stay in the mapped file until one is asked for, so a damaged length
// costs no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/formats/gguf_cursor.h"

namespace trimtab {

class GgufMetadata {
 public:
  GgufMetadata() = default;
  // Reads `count` pairs. The bytes behind the cursor must outlive the object. Throws Error that names file,
  // key and what is wrong: cut off, an unknown type, an array of arrays, a key that is there twice.
  GgufMetadata(GgufCursor& cursor, std::uint64_t count);

  bool has(const std::string& key) const { return values_.contains(key); }
  // Sorted.
  std::vector<std::string> keys() const;

  // Each throws Error that names file, key and type when the key is missing (with the nearest one) or holds
  // something else. An integer is of any width and fits int64; a real is a float32 or float64.
  std::int64_t integer(const std::string& key) const;
  double real(const std::string& key) const;
  bool truth(const std::string& key) const;
  std::string text(const std::string& key) const;
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<double> reals(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;

 private:
  // The format's numbers.
  enum class Type : std::uint32_t {
    kUint8,
    kInt8,
    kUint16,
    kInt16,
    kUint32,
    kInt32,
    kFloat32,
    kBool,
    kText,
    kArray,
    kUint64,
    kInt64,
    kFloat64
  };
  struct Value {
    Type type = Type::kUint8;  // of the elements of an array
    bool array = false;
    std::uint64_t count = 1;
    std::span<const std::byte> bytes;
  };

  static std::string_view name_of(Type type);
  static std::size_t least_bytes(Type type);
  static std::string described(const Value& value);
  static Value read_value(GgufCursor& cursor, const std::string& where);
  const Value& find(const std::string& key, bool array, std::string_view wanted) const;
  [[noreturn]] void wrong(const std::string& key, const Value& value, std::string_view wanted) const;
  std::int64_t integer_at(const std::string& key, const Value& value, std::size_t index) const;
  double real_at(const std::string& key, const Value& value, std::size_t index) const;
  std::vector<std::string_view> texts_of(const std::string& key, const Value& value) const;

  std::string path_;
  std::map<std::string, Value> values_;
};

}  // namespace trimtab
