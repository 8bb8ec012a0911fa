// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor_store.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime/check.h"
#include "runtime/hdf5.h"
#include "runtime/nearest.h"
#include "runtime/shard.h"

namespace trimtab {

namespace {

herr_t collect(std::vector<std::string>* names, const char* name) {
  // An exception must not pass through C.
  try {
    names->emplace_back(name);
  } catch (...) {
    return -1;
  }
  return 0;
}

herr_t collect_link(hid_t, const char* name, const H5L_info_t*, void* names) {
  return collect(static_cast<std::vector<std::string>*>(names), name);
}

herr_t collect_attribute(hid_t, const char* name, const H5A_info_t*, void* names) {
  return collect(static_cast<std::vector<std::string>*>(names), name);
}

std::string text_attribute(hid_t object, const char* name, const std::string& what) {
  const StoreAttribute value = hdf5::read_attribute(object, name, what);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  fail("{}: attribute '{}' is not a text", what, name);
}

std::optional<DType> dtype_of(const std::string& name) {
  for (const DType type : {DType::kFloat32, DType::kBFloat16, DType::kInt32, DType::kInt64})
    if (name == name_of(type)) return type;
  return std::nullopt;
}

hdf5::Entry read_entry(hid_t dataset, const std::string& what) {
  hdf5::Entry entry;
  const std::string dtype = text_attribute(dataset, hdf5::kDType, what);
  const std::optional<DType> type = dtype_of(dtype);
  if (!type) fail("{}: unknown element type '{}'", what, dtype);
  entry.info.dtype = *type;
  entry.checksum = text_attribute(dataset, hdf5::kChecksum, what);
  const hdf5::Handle stored(H5Dget_type(dataset), H5Tclose, what);
  if (H5Tequal(stored, hdf5::file_type(*type)) <= 0)
    fail("{}: its elements are not stored as {}", what, dtype);
  const hdf5::Handle space(H5Dget_space(dataset), H5Sclose, what);
  const int rank = H5Sget_simple_extent_ndims(space);
  hdf5::check(rank, what);
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  hdf5::check(H5Sget_simple_extent_dims(space, dims.data(), nullptr), what);
  entry.info.shape.assign(dims.begin(), dims.end());
  return entry;
}

// HDF5 takes as much memory as the driver block of an old superblock claims to need, up to 4 GiB, whatever
// the file's size. What consists of one file has no such block: its address is undefined. HDF5 also looks for
// a superblock behind a block of the user's, which a store has not.
bool is_plain(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::array<char, 60> begin{};  // of version 1 with addresses of eight bytes, which are the longest
  std::ifstream(path, std::ios::binary).read(begin.data(), begin.size());
  if (!std::string_view(begin.data(), begin.size()).starts_with(kSignature)) return false;
  const auto version = static_cast<unsigned char>(begin[8]), address = static_cast<unsigned char>(begin[13]);
  if (version > 1) return true;
  if (address < 1 || address > 8) return false;
  const char* place = &begin[(version == 0 ? 24 : 28) + 3 * address];
  return std::all_of(place, place + address, [](char byte) { return byte == '\xff'; });
}

// What HDF5 finds wrong with its own metadata is in its error stack, whose text goes into our message.
hdf5::Handle open_file(const std::string& path) {
  std::error_code error;
  const bool there = std::filesystem::is_regular_file(path, error);
  if (!there) fail("{}: there is no such file", path);
  if (std::filesystem::file_size(path, error) == 0) fail("{}: the file is empty", path);
  const htri_t known = H5Fis_hdf5(path.c_str());
  if (known == 0) fail("{}: this is not an HDF5 file, so not a tensor store", path);
  if (!is_plain(path))
    fail("{}: an HDF5 file with a driver block or a user block, or a damaged one; not a tensor store", path);
  return {H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose,
          fmt::format(
              "{}: the tensor store cannot be opened: the file is truncated, damaged, unreadable or being "
              "written",
              path)};
}

// Refuses files of other programs, of later versions, and those that no writer finished.
void check_format(hid_t file, const std::string& path) {
  const std::string what = fmt::format("{}: cannot read the tensor store", path);
  const auto there = [&](const char* name) { return H5Aexists(file, name) > 0; };
  if (!there(hdf5::kFormat) || !there(hdf5::kVersion) ||
      hdf5::read_attribute(file, hdf5::kFormat, what) != StoreAttribute(std::string(hdf5::kFormatName)))
    fail("{}: an HDF5 file, but not a tensor store of trimtab (its attribute '{}' is not '{}')", path,
         hdf5::kFormat, hdf5::kFormatName);
  const StoreAttribute version = hdf5::read_attribute(file, hdf5::kVersion, what);
  if (version != StoreAttribute(hdf5::kVersionNumber))
    fail(
        "{}: this program reads version {} of the tensor store, not the version of this file: use the "
        "program that "
        "wrote it, or a newer one",
        path, hdf5::kVersionNumber);
  if (!there(hdf5::kComplete))
    fail(
        "{}: the tensor store is incomplete: the program that wrote it was stopped before it was done; "
        "delete the "
        "file and write it again",
        path);
}

std::int32_t narrow(std::int64_t value, const std::string& where) {
  if (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max())
    fail("{}: the element {} does not fit int32", where, value);
  return static_cast<std::int32_t>(value);
}

template <typename From, typename To, typename Convert>
void convert_all(const std::byte* from, std::byte* to, std::int64_t count, const Convert& convert) {
  const auto* in = reinterpret_cast<const From*>(from);
  auto* out = reinterpret_cast<To*>(to);
  for (std::int64_t i = 0; i < count; ++i) out[i] = convert(in[i]);
}

// `to` differs from `from`; throws if there is no conversion.
void convert(const std::byte* in, DType from, std::byte* out, DType to, std::int64_t count,
             const std::string& where) {
  if (from == DType::kBFloat16 && to == DType::kFloat32)
    convert_all<std::uint16_t, float>(in, out, count, bfloat16_to_float);
  else if (from == DType::kFloat32 && to == DType::kBFloat16)
    convert_all<float, std::uint16_t>(in, out, count, float_to_bfloat16);
  else if (from == DType::kInt32 && to == DType::kInt64)
    convert_all<std::int32_t, std::int64_t>(in, out, count, [](std::int32_t x) { return std::int64_t{x}; });
  else if (from == DType::kInt64 && to == DType::kInt32)
    convert_all<std::int64_t, std::int32_t>(in, out, count, [&](std::int64_t x) { return narrow(x, where); });
  else
    fail("{} is {} and cannot be read as {}", where, name_of(from), name_of(to));
}

}  // namespace

struct TensorStore::Impl {
  std::string path;
  hdf5::Handle file;
  hdf5::Handle group;
  std::map<std::string, hdf5::Entry> tensors;
  std::map<std::string, StoreAttribute> attributes;

  std::string where(const std::string& name) const { return fmt::format("{}: tensor '{}'", path, name); }

  // The two functions below need a Session.
  hdf5::Handle dataset(const std::string& name) const {
    return {H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose, where(name) + " cannot be opened"};
  }

  void load() {
    file = open_file(path);
    check_format(file, path);
    const std::string what = fmt::format("{}: the tensor store is damaged", path);
    group = hdf5::Handle(H5Gopen2(file, hdf5::kTensors, H5P_DEFAULT), H5Gclose, what);
    std::vector<std::string> found;
    hdf5::check(H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_link, &found), what);
    for (const std::string& name : found) {
      const std::string damaged = where(name) + " is damaged";
      const hdf5::Handle opened(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose, damaged);
      tensors.emplace(name, read_entry(opened, damaged));
    }
    std::vector<std::string> noted;
    hdf5::check(H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_attribute, &noted), what);
    for (const std::string& name : noted)
      if (name != hdf5::kFormat && name != hdf5::kVersion && name != hdf5::kComplete)
        attributes.emplace(name, hdf5::read_attribute(file, name, what));
    if (text_attribute(file, hdf5::kComplete, what) != hdf5::manifest(tensors, attributes))
      fail(
          "{}: its names, shapes, checksums or attributes are not those that were committed: the file was "
          "damaged or "
          "edited",
          what);
  }

  const hdf5::Entry& entry(const std::string& name) const {
    const auto found = tensors.find(name);
    if (found != tensors.end()) return found->second;
    std::vector<std::string> known;
    for (const auto& [other, unused] : tensors) known.push_back(other);
    fail("{}: there is no tensor '{}'{}", path, name, did_you_mean(name, known));
  }

  template <typename Value>
  const Value& attribute(const std::string& name, const char* kind) const {
    const auto found = attributes.find(name);
    if (found == attributes.end()) {
      std::vector<std::string> known;
      for (const auto& [other, unused] : attributes) known.push_back(other);
      fail("{}: there is no attribute '{}'{}", path, name, did_you_mean(name, known));
    }
    const auto* value = std::get_if<Value>(&found->second);
    if (value == nullptr) fail("{}: attribute '{}' is not {}", path, name, kind);
    return *value;
  }
};

TensorStore::TensorStore(std::string path) : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
  const hdf5::Session session;
  try {
    impl_->load();
  } catch (...) {
    impl_.reset();  // closes what was opened while the session lasts
    throw;
  }
}

TensorStore::~TensorStore() {
  const hdf5::Session session;
  impl_.reset();
}

const std::string& TensorStore::path() const { return impl_->path; }

std::vector<std::string> TensorStore::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : impl_->tensors) names.push_back(name);
  return names;
}

bool TensorStore::has(const std::string& name) const { return impl_->tensors.contains(name); }

TensorInfo TensorStore::info(const std::string& name) const { return impl_->entry(name).info; }

void TensorStore::read(const std::string& name, const Slab& slab, DType type, void* out) const {
  const TensorInfo& info = impl_->entry(name).info;
  const std::string where = impl_->where(name);
  const Slab part = fitted(slab, info.shape, where);
  // Also says so, without reading, if there is no conversion.
  if (type != info.dtype) convert(nullptr, info.dtype, nullptr, type, 0, where);
  if (element_count(part.count) == 0) return;
  const std::string what = where + " cannot be read";
  const hdf5::Session session;
  const hdf5::Handle dataset = impl_->dataset(name);
  if (type == info.dtype) return hdf5::read_slab(dataset, info, part, out, what);
  std::vector<std::byte> raw;
  auto* to = static_cast<std::byte*>(out);
  hdf5::for_each_part(part, info.dtype, [&](const Slab& rows, std::int64_t elements) {
    raw.resize(static_cast<std::size_t>(elements) * size_of(info.dtype));
    hdf5::read_slab(dataset, info, rows, raw.data(), what);
    convert(raw.data(), info.dtype, to, type, elements, where);
    to += static_cast<std::size_t>(elements) * size_of(type);
  });
}

const std::string& TensorStore::checksum(const std::string& name) const {
  return impl_->entry(name).checksum;
}

void TensorStore::verify() const {
  const hdf5::Session session;
  for (const auto& [name, entry] : impl_->tensors) {
    const std::string found =
        hdf5::checksum(impl_->dataset(name), entry.info, impl_->where(name) + " cannot be read");
    if (found != entry.checksum)
      fail("{} is damaged: its elements have SHA-256 {}, but {} was written", impl_->where(name), found,
           entry.checksum);
  }
}

const std::map<std::string, StoreAttribute>& TensorStore::attributes() const { return impl_->attributes; }

std::int64_t TensorStore::integer(const std::string& name) const {
  return impl_->attribute<std::int64_t>(name, "an integer");
}

double TensorStore::real(const std::string& name) const {
  return impl_->attribute<double>(name, "a real number");
}

const std::string& TensorStore::text(const std::string& name) const {
  return impl_->attribute<std::string>(name, "a text");
}

}  // namespace trimtab
