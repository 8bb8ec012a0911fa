// SPDX-License-Identifier: Apache-2.0
#include "models/formats/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <tuple>
#include <utility>

#include "models/formats/slab_copy.h"
#include "runtime/check.h"
#include "runtime/nearest.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint32_t kMostDims = 4;        // ggml's bound
constexpr std::int64_t kDefaultAlignment = 32;
constexpr const char* kAlignment = "general.alignment";
constexpr const char* kParts = "split.count";

// The elements [first, first + count) of a tensor whose blocks begin at `bytes`.
void decode_run(const GgufType& type, const std::byte* bytes, std::int64_t first, std::int64_t count,
                float* out) {
  while (count > 0) {
    const std::byte* block = bytes + static_cast<std::size_t>(first / type.elements) * type.bytes;
    const std::int64_t skipped = first % type.elements;
    std::int64_t taken = count / type.elements * type.elements;
    if (skipped == 0 && taken > 0) {
      type.decode(block, taken / type.elements, out);
    } else {  // the run begins or ends inside this block
      float values[kLargestGgufBlock];
      type.decode(block, 1, values);
      taken = std::min(count, type.elements - skipped);
      std::copy_n(values + skipped, taken, out);
    }
    first += taken;
    count -= taken;
    out += taken;
  }
}

// The same, rounded to bfloat16, a few kilobytes at a time.
void decode_run(const GgufType& type, const std::byte* bytes, std::int64_t first, std::int64_t count,
                std::uint16_t* out) {
  constexpr std::int64_t kPiece = 16 * kLargestGgufBlock;
  float values[kPiece];
  while (count > 0) {
    const std::int64_t taken = std::min(count, kPiece - first % kLargestGgufBlock);
    decode_run(type, bytes, first, taken, values);
    for (std::int64_t i = 0; i < taken; ++i) out[i] = float_to_bfloat16(values[i]);
    first += taken;
    count -= taken;
    out += taken;
  }
}

}  // namespace

// Checks the header and fills `owner`.
struct Gguf::HeaderReader {
  Gguf& owner;
  const std::string& path;
  GgufCursor cursor;

  struct Place {
    std::string name;
    std::uint64_t offset;  // into the data
    std::uint64_t size;
    std::uint64_t end() const { return offset + size; }
  };

  void read() {
    check_version();
    const auto tensors = cursor.number<std::uint64_t>("the number of tensors");
    const auto pairs = cursor.number<std::uint64_t>("the number of metadata pairs");
    constexpr std::uint64_t kLeastPair = 8 + 4 + 1, kLeastTensor = 8 + 4 + 4 + 8;  // bytes
    if (pairs > cursor.left() / kLeastPair || tensors > cursor.left() / kLeastTensor)
      fail("{}: {} metadata pairs and {} tensors do not fit into {} bytes: the file is cut off or damaged",
           path, pairs, tensors, owner.file_.bytes().size());
    owner.metadata_ = GgufMetadata(cursor, pairs);
    owner.metadata_end_ = cursor.place();
    if (owner.metadata_.has(kParts) && owner.metadata_.integer(kParts) > 1)
      fail("{}: this is one of {} parts: join them with `llama-gguf-split --merge`", path,
           owner.metadata_.integer(kParts));
    std::vector<Place> places;
    for (std::uint64_t i = 0; i < tensors; ++i) places.push_back(add_tensor(i));
    place_data(places);
    check_overlaps(std::move(places));
  }

  void check_version() {
    if (cursor.left() < 8 || cursor.number<std::uint32_t>("the magic") != kMagic)
      fail("{}: no GGUF file: it does not begin with \"GGUF\"", path);
    const auto version = cursor.number<std::uint32_t>("the version");
    if (version > 0xffffu && __builtin_bswap32(version) <= 0xffffu)
      fail("{}: a big-endian GGUF is not read: convert it with `gguf-convert-endian FILE little`", path);
    if (version < 2 || version > 3)
      fail("{}: GGUF version {} is not known, versions 2 and 3 are: {}", path, version,
           version < 2 ? "convert the model again with a current converter"
                       : "is it damaged, or newer than this?");
  }

  Place add_tensor(std::uint64_t index) {
    Place place{cursor.name(fmt::format("the name of tensor {}", index)), 0, 0};
    const std::string what = fmt::format("tensor '{}'", place.name);
    const auto dims = cursor.number<std::uint32_t>(what);
    if (dims > kMostDims) fail("{}: {} has {} dims, at most {} are known", path, what, dims, kMostDims);
    Entry entry;
    std::uint64_t count = 1;
    bool fits = true;
    for (std::uint32_t i = 0; i < dims; ++i) {
      const auto extent = cursor.number<std::uint64_t>(what);
      if (extent < 1 || !std::in_range<std::int64_t>(extent))
        fail("{}: {}: its dim {} is {}, and should be at least 1", path, what, i, extent);
      fits = fits && !__builtin_mul_overflow(count, extent, &count);
      entry.shape.push_back(static_cast<std::int64_t>(extent));
    }
    std::ranges::reverse(entry.shape);  // the fastest dim comes first in the file
    const auto type = cursor.number<std::uint32_t>(what);
    entry.type = find_gguf_type(type);
    if (entry.type == nullptr)
      fail("{}: {} is of type {}, which is not read: take or make a file of {}", path, what,
           gguf_type_name(type), readable_gguf_types());
    const auto elements = static_cast<std::uint64_t>(entry.type->elements);
    if ((entry.shape.empty() ? 1 : static_cast<std::uint64_t>(entry.shape.back())) % elements != 0)
      fail("{}: {}: rows of the shape {} are no multiple of the {} elements of a block of {}", path, what,
           to_string(entry.shape), elements, entry.type->name);
    fits = fits && std::in_range<std::int64_t>(count) &&
           !__builtin_mul_overflow(count / elements, std::uint64_t{entry.type->bytes}, &place.size);
    if (!fits)
      fail("{}: {}: the shape {} has more elements than any file holds", path, what, to_string(entry.shape));
    place.offset = cursor.number<std::uint64_t>(what);
    if (!owner.entries_.emplace(place.name, std::move(entry)).second)
      fail("{}: {} is there twice", path, what);
    return place;
  }

  std::uint64_t alignment() const {
    if (!owner.metadata_.has(kAlignment)) return kDefaultAlignment;
    const std::int64_t alignment = owner.metadata_.integer(kAlignment);
    if (alignment < 1 || !std::has_single_bit(static_cast<std::uint64_t>(alignment)) ||
        alignment > std::numeric_limits<std::uint32_t>::max())
      fail("{}: metadata '{}' is {}, and should be a power of two", path, kAlignment, alignment);
    return static_cast<std::uint64_t>(alignment);
  }

  // Gives each tensor its bytes, now that it is known where the data begins.
  void place_data(const std::vector<Place>& places) {
    const std::uint64_t step = alignment();
    const auto bytes = owner.file_.bytes();
    const std::uint64_t begin = (cursor.place() + step - 1) / step * step;
    const std::uint64_t length = begin < bytes.size() ? bytes.size() - begin : 0;
    for (const Place& place : places) {
      if (place.offset % step != 0)
        fail("{}: tensor '{}' begins at byte {} of the data, which is no multiple of {}", path, place.name,
             place.offset, step);
      if (place.size > length || place.offset > length - place.size)
        fail(
            "{}: tensor '{}': its {} bytes from byte {} on do not lie in the {} bytes of data: the file is "
            "cut off or "
            "damaged",
            path, place.name, place.size, place.offset, length);
      owner.entries_.at(place.name).bytes =
          bytes.subspan(static_cast<std::size_t>(begin + place.offset), static_cast<std::size_t>(place.size));
    }
  }

  void check_overlaps(std::vector<Place> places) const {
    std::ranges::sort(places, [](const Place& a, const Place& b) {
      return std::tie(a.offset, a.size, a.name) < std::tie(b.offset, b.size, b.name);
    });
    for (std::size_t i = 1; i < places.size(); ++i)
      if (places[i].offset < places[i - 1].end())
        fail("{}: tensors '{}' and '{}' overlap at byte {} of the data", path, places[i - 1].name,
             places[i].name, places[i].offset);
  }
};

bool is_gguf(const std::string& path) {
  std::array<char, 4> magic{};
  std::ifstream file(path, std::ios::binary);
  return file.read(magic.data(), magic.size()) && std::string_view(magic.data(), magic.size()) == "GGUF";
}

Gguf::Gguf(const std::string& path) : file_(path) {
  HeaderReader{*this, file_.path(), GgufCursor(file_.bytes(), file_.path())}.read();
}

std::string Gguf::without_tensors() const {
  const auto kept = file_.bytes().first(metadata_end_);
  std::string bytes(reinterpret_cast<const char*>(kept.data()), kept.size());
  // Behind magic and version stands the number of tensors.
  std::fill_n(bytes.begin() + 2 * sizeof(std::uint32_t), sizeof(std::uint64_t), '\0');
  return bytes;
}

std::vector<std::string> Gguf::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const Gguf::Entry& Gguf::find(const std::string& name) const {
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) fail("{}: no tensor '{}'{}", path(), name, did_you_mean(name, names()));
  return entry->second;
}

TensorInfo Gguf::info(const std::string& name) const {
  const Entry& entry = find(name);
  return {entry.type->dtype, entry.shape};
}

void Gguf::read(const std::string& name, const Slab& slab, DType type, void* out) const {
  const Entry& entry = find(name);
  const std::string where = fmt::format("{}: tensor '{}'", path(), name);
  if (type != DType::kFloat32 && type != DType::kBFloat16)
    fail("{}: {} cannot be read as {}", where, entry.type->name, name_of(type));
  auto* place = static_cast<std::byte*>(out);
  for_each_run(entry.shape, slab, where, [&](std::int64_t first, std::int64_t count) {
    if (type == DType::kFloat32)
      decode_run(*entry.type, entry.bytes.data(), first, count, reinterpret_cast<float*>(place));
    else
      decode_run(*entry.type, entry.bytes.data(), first, count, reinterpret_cast<std::uint16_t*>(place));
    place += static_cast<std::size_t>(count) * size_of(type);
  });
  forget_pages(entry.bytes);
}

}  // namespace trimtab
