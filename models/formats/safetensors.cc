// SPDX-License-Identifier: Apache-2.0
#include "models/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "models/formats/half.h"
#include "models/formats/slab_copy.h"
#include "runtime/check.h"
#include "runtime/nearest.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "safetensors are little endian and are read as they lie");

// A header of 100 MB would name half a million tensors; more is a damaged length (the reference
// implementation's bound).
constexpr std::uint64_t kLongestHeader = 100'000'000;

// Objects in a header: itself, a tensor, its shape. What is nested deeper is no header, and would cost the
// parser a hundred times the memory of the file.
constexpr int kDeepest = 4;

// For messages: what a file says, but not all of what a damaged one can say.
std::string shown(const Json& value) {
  if (value.is_structured()) return fmt::format("{} of {}", value.type_name(), value.size());
  constexpr std::size_t kMost = 60;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

// nlohmann keeps the last of two equal keys without a word; here that would hide a tensor.
Json parse_strictly(std::string_view text, const std::string& where) {
  std::set<std::string> seen;
  std::string twice;
  const auto watch = [&](int depth, Json::parse_event_t event, const Json& value) {
    if (depth > kDeepest) fail("{}: objects or arrays are nested more than {} deep", where, kDeepest);
    if (depth == 1 && event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!seen.insert(key).second && twice.empty()) twice = key;
    }
    return true;
  };
  Json json;
  try {
    json = Json::parse(text, watch);
  } catch (const Json::exception& error) {  // also out_of_range, for a number too large
    constexpr std::size_t kMost = 200;      // the library quotes the text before the error
    fail("{}: not valid JSON: {}", where, std::string(error.what()).substr(0, kMost));
  }
  if (!json.is_object()) fail("{}: a JSON object is expected, this is {}", where, json.type_name());
  if (!twice.empty()) fail("{}: '{}' is there twice", where, twice);
  return json;
}

template <typename T>
T load(const std::byte* bytes, std::int64_t index) {
  T value;  // the bytes of a tensor need not be aligned in a file
  std::memcpy(&value, bytes + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

template <typename From, typename To, typename Convert>
void convert_run(const std::byte* bytes, std::int64_t first, std::int64_t count, To* out, Convert convert) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = convert(load<From>(bytes, first + i));
}

std::uint64_t unsigned_of(const Json& value, const std::string& where, const char* what) {
  if (!value.is_number_unsigned())
    fail("{}: {} must hold whole numbers that are not negative, not {}", where, what, shown(value));
  return value.get<std::uint64_t>();
}

}  // namespace

// Checks one file's header and adds its tensors to `owner`.
struct Safetensors::HeaderReader {
  Safetensors& owner;
  std::size_t file;
  const std::string& path;
  std::span<const std::byte> data{};  // all bytes after the header

  struct Range {
    std::uint64_t begin, end;
    std::string name;
  };

  void read() {
    const auto bytes = owner.files_[file].bytes();
    if (bytes.size() < 8)
      fail("{}: {} bytes are too few for a safetensors file: is it cut off?", path, bytes.size());
    const auto length = load<std::uint64_t>(bytes.data(), 0);
    if (length > kLongestHeader || length > bytes.size() - 8)
      fail("{}: the header should have {} bytes, the file has {}: it is cut off, or no safetensors file",
           path, length, bytes.size());
    const auto header_size = static_cast<std::size_t>(length);
    data = bytes.subspan(8 + header_size);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, header_size);
    const Json header = parse_strictly(text, path + ": header");
    std::vector<Range> ranges;
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__")
        add_metadata(value);
      else
        ranges.push_back(add_tensor(name, value));
    }
    check_ranges(std::move(ranges));
  }

  void add_metadata(const Json& value) {
    if (!value.is_object()) fail("{}: __metadata__ must be an object", path);
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail("{}: __metadata__: '{}' must be a text, not {}", path, key, shown(text));
      owner.metadata_[key] = text.get<std::string>();
    }
  }

  static std::size_t bytes_of(Stored stored) {
    switch (stored) {
      case Stored::kBF16:
      case Stored::kF16:
        return 2;
      case Stored::kI64:
        return 8;
      default:
        return 4;
    }
  }

  static Stored stored_of(const std::string& dtype, const std::string& where) {
    static constexpr std::pair<std::string_view, Stored> kKnown[] = {{"F32", Stored::kF32},
                                                                     {"BF16", Stored::kBF16},
                                                                     {"F16", Stored::kF16},
                                                                     {"I32", Stored::kI32},
                                                                     {"I64", Stored::kI64}};
    for (const auto& [name, stored] : kKnown)
      if (name == dtype) return stored;
    fail("{}: the dtype '{}' is not one that is read: F32, BF16, F16, I32, I64", where, dtype);
  }

  Range add_tensor(const std::string& name, const Json& value) {
    const std::string where = fmt::format("{}: tensor '{}'", path, name);
    const bool complete = value.is_object() && value.contains("dtype") && value["dtype"].is_string() &&
                          value.contains("shape") && value["shape"].is_array() &&
                          value.contains("data_offsets") && value["data_offsets"].is_array() &&
                          value["data_offsets"].size() == 2;
    if (!complete) fail("{}: dtype, shape and two data_offsets are expected, not {}", where, shown(value));
    Entry entry;
    entry.file = file;
    entry.stored = stored_of(value["dtype"].get<std::string>(), where);
    std::uint64_t size = bytes_of(entry.stored);
    bool fits = true;
    for (const Json& dim : value["shape"]) {
      const std::uint64_t extent = unsigned_of(dim, where, "shape");
      fits = fits && extent <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) &&
             !__builtin_mul_overflow(size, extent, &size);
      entry.shape.push_back(static_cast<std::int64_t>(extent));
    }
    const std::uint64_t begin = unsigned_of(value["data_offsets"][0], where, "data_offsets");
    const std::uint64_t end = unsigned_of(value["data_offsets"][1], where, "data_offsets");
    if (begin > end || end > data.size())
      fail("{}: its bytes [{}, {}) do not lie in the {} bytes of data: the file is cut off or damaged", where,
           begin, end, data.size());
    if (!fits || size != end - begin)
      fail("{}: the shape {} of {} needs {} bytes, the file gives it {}", where, to_string(entry.shape),
           value["dtype"].get<std::string>(), fits ? fmt::to_string(size) : "too many", end - begin);
    entry.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    const auto [known, inserted] = owner.entries_.emplace(name, std::move(entry));
    if (!inserted)
      fail("tensor '{}' is in two files: {} and {}", name, owner.files_[known->second.file].path(), path);
    return {begin, end, name};
  }

  void check_ranges(std::vector<Range> ranges) const {
    std::ranges::sort(ranges, [](const Range& a, const Range& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    std::uint64_t place = 0;
    std::string before;
    for (const Range& range : ranges) {
      if (range.begin < place)
        fail("{}: tensors '{}' and '{}' overlap at byte {} of the data", path, before, range.name,
             range.begin);
      if (range.begin > place)
        fail("{}: bytes [{}, {}) of the data, before tensor '{}', belong to no tensor", path, place,
             range.begin, range.name);
      place = range.end;
      before = range.name;
    }
    if (place != data.size())
      fail("{}: bytes [{}, {}) at the end of the data belong to no tensor", path, place, data.size());
  }
};

Safetensors::Safetensors(const std::string& path) : path_(path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) {
    add_file(path);
    return;
  }
  const std::string single = (fs::path(path) / "model.safetensors").string();
  const std::string index = (fs::path(path) / "model.safetensors.index.json").string();
  if (fs::exists(single))
    add_file(single);
  else if (fs::exists(index))
    add_shards(index, path);
  else
    fail("{}: neither model.safetensors nor model.safetensors.index.json is in this folder{}", path,
         fs::exists(fs::path(path) / "pytorch_model.bin")
             ? "; pytorch_model.bin is not read: convert it with save_pretrained(folder, "
               "safe_serialization=True)"
             : "");
}

void Safetensors::add_file(const std::string& path) {
  files_.emplace_back(path);
  HeaderReader{*this, files_.size() - 1, path}.read();
}

void Safetensors::add_shards(const std::string& index_path, const std::string& folder) {
  const MappedFile file(index_path);
  const auto text = std::string_view(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const Json index = parse_strictly(text, index_path);
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty())
    fail("{}: 'weight_map' must be there and name a file for each tensor", index_path);
  std::map<std::string, std::string> shards;  // file name -> a tensor of it
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string())
      fail("{}: weight_map: '{}' must name a file, not {}", index_path, name, shown(shard));
    shards.emplace(shard.get<std::string>(), name);
  }
  for (const auto& [shard, name] : shards) {
    if (shard.empty() || shard == ".." || shard.find('/') != std::string::npos)
      fail("{}: weight_map: the shard '{}' must be the name of a file in the same folder", index_path, shard);
    const std::string path = (std::filesystem::path(folder) / shard).string();
    if (!std::filesystem::exists(path))
      fail("{}: the shard {} that holds '{}' is missing from {}", index_path, shard, name, folder);
    add_file(path);
  }
  for (const auto& [name, shard] : map->items()) {
    const auto entry = entries_.find(name);
    const std::string expected = (std::filesystem::path(folder) / shard.get<std::string>()).string();
    if (entry == entries_.end() || files_[entry->second.file].path() != expected)
      fail("{}: tensor '{}' is not in {}", index_path, name, expected);
  }
  for (const auto& [name, entry] : entries_)
    if (!map->contains(name))
      fail("{}: tensor '{}' of {} is not in weight_map", index_path, name, files_[entry.file].path());
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const Safetensors::Entry& Safetensors::find(const std::string& name) const {
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) fail("{}: no tensor '{}'{}", path_, name, did_you_mean(name, names()));
  return entry->second;
}

TensorInfo Safetensors::info(const std::string& name) const {
  const Entry& entry = find(name);
  switch (entry.stored) {
    case Stored::kBF16:
      return {DType::kBFloat16, entry.shape};
    case Stored::kI32:
      return {DType::kInt32, entry.shape};
    case Stored::kI64:
      return {DType::kInt64, entry.shape};
    default:
      return {DType::kFloat32, entry.shape};
  }
}

void Safetensors::read(const std::string& name, const Slab& slab, DType type, void* out) const {
  const Entry& entry = find(name);
  const std::string where = fmt::format("{}: tensor '{}'", path_, name);
  const DType stored = info(name).dtype;
  const auto is_real = [](DType t) { return t == DType::kFloat32 || t == DType::kBFloat16; };
  if (is_real(stored) != is_real(type))
    fail("{}: {} cannot be read as {}", where, name_of(stored), name_of(type));
  auto* place = static_cast<std::byte*>(out);
  const std::byte* bytes = entry.bytes.data();
  for_each_run(entry.shape, slab, where, [&](std::int64_t first, std::int64_t count) {
    const std::size_t size = static_cast<std::size_t>(count) * size_of(type);
    if (stored == type && entry.stored != Stored::kF16) {
      std::memcpy(place, bytes + static_cast<std::size_t>(first) * size_of(type), size);
    } else if (type == DType::kFloat32 && entry.stored == Stored::kF16) {
      convert_run<std::uint16_t>(bytes, first, count, reinterpret_cast<float*>(place), half_to_float);
    } else if (type == DType::kFloat32) {
      convert_run<std::uint16_t>(bytes, first, count, reinterpret_cast<float*>(place), bfloat16_to_float);
    } else if (type == DType::kBFloat16 && entry.stored == Stored::kF16) {
      convert_run<std::uint16_t>(bytes, first, count, reinterpret_cast<std::uint16_t*>(place),
                                 [](std::uint16_t bits) { return float_to_bfloat16(half_to_float(bits)); });
    } else if (type == DType::kBFloat16) {
      convert_run<float>(bytes, first, count, reinterpret_cast<std::uint16_t*>(place), float_to_bfloat16);
    } else if (type == DType::kInt64) {
      convert_run<std::int32_t>(bytes, first, count, reinterpret_cast<std::int64_t*>(place),
                                [](std::int32_t value) { return std::int64_t{value}; });
    } else {
      convert_run<std::int64_t>(bytes, first, count, reinterpret_cast<std::int32_t*>(place),
                                [&](std::int64_t value) {
                                  if (!std::in_range<std::int32_t>(value))
                                    fail("{}: the value {} does not fit into int32", where, value);
                                  return static_cast<std::int32_t>(value);
                                });
    }
    place += size;
  });
  forget_pages(entry.bytes);
}

void Safetensors::forget() const {
  for (const MappedFile& file : files_) file.forget();
}

}  // namespace trimtab
