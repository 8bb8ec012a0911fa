// SPDX-License-Identifier: Apache-2.0
#include "models/formats/gguf_metadata.h"

#include <cstring>
#include <utility>

#include "runtime/nearest.h"

namespace trimtab {
namespace {

template <typename T>
T element(std::span<const std::byte> bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

std::string_view GgufMetadata::name_of(Type type) {
  constexpr std::string_view kNames[] = {"uint8",   "int8", "uint16", "int16",  "uint32", "int32",  "float32",
                                         "boolean", "text", "array",  "uint64", "int64",  "float64"};
  return kNames[static_cast<std::size_t>(type)];
}

std::size_t GgufMetadata::least_bytes(Type type) {
  switch (type) {
    case Type::kUint8:
    case Type::kInt8:
    case Type::kBool:
      return 1;
    case Type::kUint16:
    case Type::kInt16:
      return 2;
    case Type::kUint32:
    case Type::kInt32:
    case Type::kFloat32:
      return 4;
    default:
      return 8;  // a text has a length of eight bytes
  }
}

std::string GgufMetadata::described(const Value& value) {
  return value.array ? fmt::format("an array of {} of type {}", value.count, name_of(value.type))
                     : fmt::format("of type {}", name_of(value.type));
}

GgufMetadata::GgufMetadata(GgufCursor& cursor, std::uint64_t count) : path_(cursor.path()) {
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string key = cursor.name(fmt::format("metadata key {}", i));
    const std::string where = fmt::format("metadata '{}'", key);
    Value value = read_value(cursor, where);
    if (!values_.emplace(std::move(key), value).second) fail("{}: {} is there twice", path_, where);
  }
}

GgufMetadata::Value GgufMetadata::read_value(GgufCursor& cursor, const std::string& where) {
  const auto read_type = [&] {
    const auto type = cursor.number<std::uint32_t>(where);
    if (type > static_cast<std::uint32_t>(Type::kFloat64))
      fail("{}: {}: the value type {} is not known, types 0 to 12 are: the file is damaged or too new",
           cursor.path(), where, type);
    return static_cast<Type>(type);
  };
  Value value;
  value.type = read_type();
  if (value.type == Type::kArray) {
    value.array = true;
    value.type = read_type();
    if (value.type == Type::kArray) fail("{}: {}: arrays of arrays are not read", cursor.path(), where);
    value.count = cursor.number<std::uint64_t>(where);
  }
  const std::size_t least = least_bytes(value.type);
  if (value.count > cursor.left() / least)
    fail(
        "{}: {}: {} elements of type {} need more than the {} bytes that are left: the file is cut off or "
        "damaged",
        cursor.path(), where, value.count, name_of(value.type), cursor.left());
  if (value.type != Type::kText) {
    value.bytes = cursor.take(value.count * least, where);
    return value;
  }
  GgufCursor ahead = cursor;
  for (std::uint64_t i = 0; i < value.count; ++i) ahead.text(where);
  value.bytes = cursor.take(ahead.place() - cursor.place(), where);
  return value;
}

std::vector<std::string> GgufMetadata::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values_) keys.push_back(key);
  return keys;
}

const GgufMetadata::Value& GgufMetadata::find(const std::string& key, bool array,
                                              std::string_view wanted) const {
  const auto value = values_.find(key);
  if (value == values_.end()) fail("{}: no metadata '{}'{}", path_, key, did_you_mean(key, keys()));
  if (value->second.array != array) wrong(key, value->second, wanted);
  return value->second;
}

void GgufMetadata::wrong(const std::string& key, const Value& value, std::string_view wanted) const {
  fail("{}: metadata '{}' is {}, and should be {}", path_, key, described(value), wanted);
}

std::int64_t GgufMetadata::integer_at(const std::string& key, const Value& value, std::size_t index) const {
  switch (value.type) {
    case Type::kUint8:
      return element<std::uint8_t>(value.bytes, index);
    case Type::kInt8:
      return element<std::int8_t>(value.bytes, index);
    case Type::kUint16:
      return element<std::uint16_t>(value.bytes, index);
    case Type::kInt16:
      return element<std::int16_t>(value.bytes, index);
    case Type::kUint32:
      return element<std::uint32_t>(value.bytes, index);
    case Type::kInt32:
      return element<std::int32_t>(value.bytes, index);
    case Type::kInt64:
      return element<std::int64_t>(value.bytes, index);
    case Type::kUint64: {
      const auto number = element<std::uint64_t>(value.bytes, index);
      if (!std::in_range<std::int64_t>(number))
        fail("{}: metadata '{}': the value {} does not fit into int64", path_, key, number);
      return static_cast<std::int64_t>(number);
    }
    default:
      wrong(key, value, value.array ? "an array of integers" : "an integer");
  }
}

double GgufMetadata::real_at(const std::string& key, const Value& value, std::size_t index) const {
  if (value.type == Type::kFloat32) return element<float>(value.bytes, index);
  if (value.type == Type::kFloat64) return element<double>(value.bytes, index);
  wrong(key, value, value.array ? "an array of real numbers" : "a real number");
}

std::vector<std::string_view> GgufMetadata::texts_of(const std::string& key, const Value& value) const {
  if (value.type != Type::kText) wrong(key, value, value.array ? "an array of texts" : "a text");
  GgufCursor cursor(value.bytes, path_);
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<std::size_t>(value.count));
  for (std::uint64_t i = 0; i < value.count; ++i) texts.push_back(cursor.text(key));
  return texts;
}

std::int64_t GgufMetadata::integer(const std::string& key) const {
  return integer_at(key, find(key, false, "an integer"), 0);
}

double GgufMetadata::real(const std::string& key) const {
  return real_at(key, find(key, false, "a real number"), 0);
}

bool GgufMetadata::truth(const std::string& key) const {
  const Value& value = find(key, false, "a boolean");
  if (value.type != Type::kBool) wrong(key, value, "a boolean");
  const auto byte = element<std::uint8_t>(value.bytes, 0);
  if (byte > 1) fail("{}: metadata '{}': a boolean is 0 or 1, not {}", path_, key, byte);
  return byte == 1;
}

std::string GgufMetadata::text(const std::string& key) const {
  return std::string(texts_of(key, find(key, false, "a text")).front());
}

std::vector<std::int64_t> GgufMetadata::integers(const std::string& key) const {
  const Value& value = find(key, true, "an array of integers");
  std::vector<std::int64_t> integers;
  for (std::size_t i = 0; i < value.count; ++i) integers.push_back(integer_at(key, value, i));
  return integers;
}

std::vector<double> GgufMetadata::reals(const std::string& key) const {
  const Value& value = find(key, true, "an array of real numbers");
  std::vector<double> reals;
  for (std::size_t i = 0; i < value.count; ++i) reals.push_back(real_at(key, value, i));
  return reals;
}

std::vector<std::string> GgufMetadata::texts(const std::string& key) const {
  const Value& value = find(key, true, "an array of texts");
  const auto texts = texts_of(key, value);
  return {texts.begin(), texts.end()};
}

}  // namespace trimtab
