// SPDX-License-Identifier: Apache-2.0
#include "models/formats/t5x_checkpoint.h"

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>

#include "models/formats/mapped_file.h"
#include "runtime/check.h"
#include "runtime/nearest.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kIndex = "checkpoint";
// Of trees of parameters and their arrays' descriptions. Deeper nesting is no checkpoint, and would end the
// parser's stack.
constexpr std::size_t kDeepest = 64;

// The events of a msgpack file as (dotted path, value), values of lists one by one; false ends the parser.
class Leaves : public nlohmann::json_sax<Json> {
 public:
  const std::string& wrong() const { return wrong_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override { return number(path(), value); }
  bool number_unsigned(number_unsigned_t value) override {
    return number(path(), static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t& value) override { return text(path(), value); }
  bool binary(binary_t& value) override {
    return bytes(path(), value, value.has_subtype() ? static_cast<int>(value.subtype()) : 0);
  }
  bool start_object(std::size_t) override { return enter(); }
  bool key(string_t& value) override {
    keys_.back() = value;
    return true;
  }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&, const Json::exception& error) override {
    return refuse(std::string(error.what()).substr(0, 200));
  }

 protected:
  virtual bool number(const std::string& path, std::int64_t value) = 0;
  virtual bool text(const std::string& path, const std::string& value) = 0;
  virtual bool bytes(const std::string& path, const std::vector<std::uint8_t>& value, int type) = 0;
  bool refuse(std::string what) {
    wrong_ = std::move(what);
    return false;
  }

 private:
  bool enter() {
    keys_.emplace_back();
    return keys_.size() <= kDeepest || refuse("it is nested too deeply");
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  std::string path() const {
    std::string out;
    for (const std::string& key : keys_)
      if (!key.empty()) out += (out.empty() ? "" : ".") + key;
    return out;
  }

  std::vector<std::string> keys_;  // "" for a list
  std::string wrong_;
};

void parse(std::span<const std::uint8_t> bytes, Leaves& leaves, const std::string& where) {
  if (!Json::sax_parse(bytes.begin(), bytes.end(), &leaves, Json::input_format_t::msgpack))
    fail("{}: is no msgpack file of T5X: {}", where, leaves.wrong());
}

// An array inside the index: [shape, name of the type, bytes].
class InnerArray final : public Leaves {
 public:
  Shape shape;
  std::string dtype;
  std::vector<std::uint8_t> data;

 private:
  bool number(const std::string&, std::int64_t value) override {
    shape.push_back(value);
    return value >= 0 || refuse("a negative extent");
  }
  bool text(const std::string&, const std::string& value) override {
    dtype = value;
    return true;
  }
  bool bytes(const std::string&, const std::vector<std::uint8_t>& value, int) override {
    data = value;
    return true;
  }
};

std::vector<float> floats_of(const InnerArray& array, const std::string& where) {
  if (array.dtype != "float32" && array.dtype != "bfloat16")
    fail("{}: elements of type '{}' are not read, only float32 and bfloat16", where, array.dtype);
  const std::size_t size = array.dtype == "float32" ? 4 : 2;
  std::int64_t count = 1;
  for (const std::int64_t extent : array.shape)
    if (__builtin_mul_overflow(count, extent, &count)) count = -1;
  if (count < 0 || array.data.size() / size != static_cast<std::size_t>(count) ||
      array.data.size() % size != 0)
    fail("{}: {} bytes are not what the shape {} of {} needs", where, array.data.size(),
         to_string(array.shape), array.dtype);
  std::vector<float> out(static_cast<std::size_t>(count));
  if (size == 4) {
    if (!out.empty()) std::memcpy(out.data(), array.data.data(), array.data.size());
    return out;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, array.data.data() + 2 * i, sizeof(bits));
    out[i] = bfloat16_to_float(bits);
  }
  return out;
}

}  // namespace

// Finds the parameters in the tree: arrays inside it, and what stands for those that are zarr arrays.
struct T5xCheckpoint::Index final : public Leaves {
  T5xCheckpoint& owner;
  const std::string& where;

  Index(T5xCheckpoint& checkpoint, const std::string& file) : owner(checkpoint), where(file) {}

  // "x" of "optimizer.target.x"; "" for the rest of the tree.
  static std::string parameter(const std::string& path) {
    for (const std::string_view front : {"optimizer.target.", "target."})
      if (path.starts_with(front)) return path.substr(front.size());
    return "";
  }

  bool number(const std::string&, std::int64_t) override { return true; }
  bool text(const std::string& path, const std::string& value) override {
    constexpr std::string_view kPath = ".kvstore.path";
    std::string name = parameter(path);
    if (name.ends_with(kPath))
      name.resize(name.size() - kPath.size());
    else if (!value.starts_with("PLACEHOLDER"))
      return true;
    if (name.empty()) return true;
    if (name.find('/') != std::string::npos) return refuse("a parameter is called '" + name + "'");
    owner.arrays_[name].info = zarr_info(owner.folder_of(name));
    return true;
  }
  bool bytes(const std::string& path, const std::vector<std::uint8_t>& value, int type) override {
    constexpr int kArray = 1;  // of the extension types of flax.serialization
    const std::string name = parameter(path);
    if (name.empty()) return true;
    const std::string place = where + ": " + name;
    if (type != kArray) return refuse("'" + name + "' is no array");
    InnerArray inner;
    parse(value, inner, place);
    Array& array = owner.arrays_[name];
    array.inside = true;
    array.values = floats_of(inner, place);
    array.info.shape = inner.shape;
    return true;
  }
};

bool is_t5x_checkpoint(const std::string& folder) {
  return fs::is_directory(folder) && fs::is_regular_file(fs::path(folder) / kIndex) &&
         !fs::exists(fs::path(folder) / "config.json");
}

T5xCheckpoint::T5xCheckpoint(std::string folder) : folder_(std::move(folder)) {
  const std::string where = (fs::path(folder_) / kIndex).string();
  const MappedFile file(where);
  Index index(*this, where);
  parse({reinterpret_cast<const std::uint8_t*>(file.bytes().data()), file.bytes().size()}, index, where);
  if (arrays_.empty())
    fail("{}: holds no parameters: is this the file `checkpoint` of a T5X checkpoint?", where);
}

std::vector<std::string> T5xCheckpoint::names() const {
  std::vector<std::string> out;
  for (const auto& [name, unused] : arrays_) out.push_back(name);
  return out;
}

std::vector<float> T5xCheckpoint::values(const std::string& name) const {
  const Array& array = find(name);
  return array.inside ? array.values : read_zarr(folder_of(name), array.info);
}

const T5xCheckpoint::Array& T5xCheckpoint::find(const std::string& name) const {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) fail("{}: no parameter '{}'{}", folder_, name, did_you_mean(name, names()));
  return found->second;
}

std::string T5xCheckpoint::folder_of(const std::string& name) const {
  return (fs::path(folder_) / ("target." + name)).string();
}

}  // namespace trimtab
