// SPDX-License-Identifier: Apache-2.0
#include "runtime/hdf5.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "runtime/check.h"
#include "runtime/sha256.h"
#include "runtime/shard.h"

namespace trimtab::hdf5 {

static_assert(std::endian::native == std::endian::little, "checksums are over little-endian memory");

namespace {

std::mutex& process_mutex() {
  static std::mutex mutex;
  return mutex;
}

// All handles close by themselves, so HDF5 has nothing to do at exit; where a damaged file made it lose one
// of its own, it would only print that it cannot close. It listens to this before its first call alone.
void leave_out_exit_handler() {
  static const herr_t once = H5dont_atexit();
  static_cast<void>(once);
}

herr_t note(unsigned, const H5E_error2_t* error, void* texts) {
  // An exception must not pass through C.
  try {
    static_cast<std::vector<std::string>*>(texts)->emplace_back(error->desc ? error->desc : "");
  } catch (...) {
    return -1;
  }
  return 0;
}

std::vector<hsize_t> dims_of(const std::vector<std::int64_t>& shape) { return {shape.begin(), shape.end()}; }

// Spaces in file and memory for a slab.
std::pair<Handle, Handle> spaces(const TensorInfo& info, const Slab& slab, const std::string& what) {
  Handle file = space_of(info.shape, what);
  Handle memory = space_of(slab.count, what);
  if (!info.shape.empty()) {
    const std::vector<hsize_t> begin = dims_of(slab.begin);
    const std::vector<hsize_t> count = dims_of(slab.count);
    check(H5Sselect_hyperslab(file, H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr), what);
  }
  return {std::move(file), std::move(memory)};
}

// Of a call to the system that failed HDF5 tells every detail but what to do; "" if there was none.
std::string system_reason(const std::vector<std::string>& texts) {
  constexpr std::string_view kBegin = "error message = '";
  for (const std::string& text : texts) {
    const std::size_t begin = text.find(kBegin);
    if (begin == std::string::npos) continue;
    const std::size_t start = begin + kBegin.size();
    const std::string reason = text.substr(start, text.find('\'', start) - start);
    const bool full = reason == std::strerror(ENOSPC) || reason == std::strerror(EDQUOT);
    return reason + (full ? "; make room or choose another folder" : "");
  }
  return "";
}

// HDF5 has no string type of length 0.
Handle text_type(std::size_t length, const std::string& what) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, what);
  check(H5Tset_size(type, std::max<std::size_t>(length, 1)), what);
  check(H5Tset_strpad(type, H5T_STR_NULLPAD), what);
  check(H5Tset_cset(type, H5T_CSET_UTF8), what);
  return type;
}

}  // namespace

Session::Session() : lock_(process_mutex()) {
  leave_out_exit_handler();
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Session::~Session() { H5Eset_auto2(H5E_DEFAULT, print_, print_data_); }

std::string error_text() {
  std::vector<std::string> texts;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, note, &texts);
  if (texts.empty()) return "";
  if (const std::string reason = system_reason(texts); !reason.empty()) return ": " + reason;
  return fmt::format(" (HDF5: {})", fmt::join(texts, "; "));
}

Handle::Handle(hid_t id, Close close, const std::string& what) : id_(id), close_(close) {
  if (id < 0) fail("{}{}", what, error_text());
}

herr_t Handle::reset() {
  if (id_ < 0) return 0;
  return close_(std::exchange(id_, -1));
}

void check(herr_t status, const std::string& what) {
  if (status < 0) fail("{}{}", what, error_text());
}

hid_t file_type(DType type) {
  switch (type) {
    case DType::kFloat32:
      return H5T_IEEE_F32LE;
    case DType::kBFloat16:
      return H5T_STD_U16LE;
    case DType::kInt32:
      return H5T_STD_I32LE;
    case DType::kInt64:
      return H5T_STD_I64LE;
  }
  fail("no element type has number {}", static_cast<int>(type));
}

hid_t memory_type(DType type) {
  switch (type) {
    case DType::kFloat32:
      return H5T_NATIVE_FLOAT;
    case DType::kBFloat16:
      return H5T_NATIVE_UINT16;
    case DType::kInt32:
      return H5T_NATIVE_INT32;
    case DType::kInt64:
      return H5T_NATIVE_INT64;
  }
  fail("no element type has number {}", static_cast<int>(type));
}

Handle space_of(const Shape& shape, const std::string& what) {
  if (shape.empty()) return Handle(H5Screate(H5S_SCALAR), H5Sclose, what);
  return Handle(H5Screate_simple(static_cast<int>(shape.size()), dims_of(shape).data(), nullptr), H5Sclose,
                what);
}

void read_slab(hid_t dataset, const TensorInfo& info, const Slab& slab, void* out, const std::string& what) {
  const auto [file, memory] = spaces(info, slab, what);
  check(H5Dread(dataset, memory_type(info.dtype), memory, file, H5P_DEFAULT, out), what);
}

void write_slab(hid_t dataset, const TensorInfo& info, const Slab& slab, const void* data,
                const std::string& what) {
  const auto [file, memory] = spaces(info, slab, what);
  check(H5Dwrite(dataset, memory_type(info.dtype), memory, file, H5P_DEFAULT, data), what);
}

std::string checksum(hid_t dataset, const TensorInfo& info, const std::string& what) {
  Sha256 digest;
  std::vector<std::byte> bytes;
  for_each_part(whole(info.shape), info.dtype, [&](const Slab& part, std::int64_t elements) {
    bytes.resize(static_cast<std::size_t>(elements) * size_of(info.dtype));
    read_slab(dataset, info, part, bytes.data(), what);
    digest.update(bytes.data(), bytes.size());
  });
  return digest.hex();
}

void write_attribute(hid_t object, const std::string& name, const StoreAttribute& value,
                     const std::string& what) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, what);
  const auto write = [&](hid_t in_file, hid_t in_memory, const void* data) {
    const Handle attribute(H5Acreate2(object, name.c_str(), in_file, space, H5P_DEFAULT, H5P_DEFAULT),
                           H5Aclose, what);
    check(H5Awrite(attribute, in_memory, data), what);
  };
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    write(H5T_STD_I64LE, H5T_NATIVE_INT64, integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    write(H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, real);
  } else {
    const auto& text = std::get<std::string>(value);
    const Handle type = text_type(text.size(), what);
    write(type, type, text.c_str());
  }
}

StoreAttribute read_attribute(hid_t object, const std::string& name, const std::string& what) {
  const Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, what);
  const Handle type(H5Aget_type(attribute), H5Tclose, what);
  const Handle space(H5Aget_space(attribute), H5Sclose, what);
  if (H5Sget_simple_extent_npoints(space) != 1) fail("{}: attribute '{}' is not a single value", what, name);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER: {
      std::int64_t value = 0;
      check(H5Aread(attribute, H5T_NATIVE_INT64, &value), what);
      return value;
    }
    case H5T_FLOAT: {
      double value = 0;
      check(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), what);
      return value;
    }
    case H5T_STRING: {
      if (H5Tis_variable_str(type) > 0) fail("{}: attribute '{}' is a string of variable length", what, name);
      const std::size_t length = H5Tget_size(type);
      std::string value(length, '\0');
      const Handle wanted = text_type(length, what);
      check(H5Aread(attribute, wanted, value.data()), what);
      value.erase(value.find_last_not_of('\0') + 1);
      return value;
    }
    default:
      fail("{}: attribute '{}' is no integer, number or string", what, name);
  }
}

std::string manifest(const std::map<std::string, Entry>& tensors,
                     const std::map<std::string, StoreAttribute>& attributes) {
  Sha256 digest;
  for (const auto& [name, entry] : tensors)
    digest.update(fmt::format("tensor {} {} {} {}\n", name, name_of(entry.info.dtype),
                              to_string(entry.info.shape), entry.checksum));
  for (const auto& [name, value] : attributes) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      digest.update(fmt::format("integer {} {}\n", name, *integer));
    } else if (const auto* real = std::get_if<double>(&value)) {
      digest.update(fmt::format("real {} {:016x}\n", name, std::bit_cast<std::uint64_t>(*real)));
    } else {
      const auto& text = std::get<std::string>(value);
      digest.update(fmt::format("text {} {} {}\n", name, text.size(), text));
    }
  }
  return digest.hex();
}

}  // namespace trimtab::hdf5
