// SPDX-License-Identifier: Apache-2.0
//
// What tensor_store needs around HDF5's C interface: handles that close themselves, one lock for the process
// (HDF5 need not be built thread-safe), errors as text, and the pieces of the store's format that writer and
// reader share.
#pragma once

#include <hdf5.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "runtime/tensor_store.h"

namespace trimtab::hdf5 {

// Held around all use of HDF5, the closing of handles included. Keeps HDF5 from printing its errors
// meanwhile.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* print_data_ = nullptr;
};

// The errors that HDF5 noted since the last successful call, outermost first: " (HDF5: ...; ...)", or "".
std::string error_text();

// An open HDF5 object. Throws Error with `what` and HDF5's reason if `id` says that it could not be opened.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Close close, const std::string& what);
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, -1);
      close_ = other.close_;
    }
    return *this;
  }

  // Implicit: it goes wherever HDF5 wants an id.
  operator hid_t() const { return id_; }  // NOLINT(google-explicit-constructor)
  // Closes; negative if that failed.
  herr_t reset();

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

// Throws Error with `what` and HDF5's reason if a call returned a negative `status`.
void check(herr_t status, const std::string& what);

// How elements lie in the file (little-endian) and in memory. bfloat16 is the bits as an unsigned 16-bit
// integer.
hid_t file_type(DType type);
hid_t memory_type(DType type);

// The data space of a whole tensor.
Handle space_of(const Shape& shape, const std::string& what);

// Moves the elements of a slab, which fits and is not empty, between `dataset` and memory of the dataset's
// type.
void read_slab(hid_t dataset, const TensorInfo& info, const Slab& slab, void* out, const std::string& what);
void write_slab(hid_t dataset, const TensorInfo& info, const Slab& slab, const void* data,
                const std::string& what);

// SHA-256 of the elements in the file.
std::string checksum(hid_t dataset, const TensorInfo& info, const std::string& what);

// Calls `use(part, elements)` for consecutive parts of a slab, whole in all dims but the first, of about a
// megabyte or else one row. `part` lies inside `slab`.
template <typename Use>
void for_each_part(const Slab& slab, DType type, const Use& use) {
  std::int64_t row = 1;
  for (std::size_t d = 1; d < slab.count.size(); ++d) row *= slab.count[d];
  if (slab.count.empty()) return use(slab, std::int64_t{1});
  if (row == 0) return;
  constexpr std::int64_t kBytes = std::int64_t{1} << 20;
  const std::int64_t bytes = row * static_cast<std::int64_t>(size_of(type));
  const std::int64_t rows = bytes >= kBytes ? 1 : kBytes / bytes;
  for (std::int64_t done = 0; done < slab.count[0]; done += rows) {
    Slab part = slab;
    part.begin[0] += done;
    part.count[0] = std::min(rows, slab.count[0] - done);
    use(part, part.count[0] * row);
  }
}

void write_attribute(hid_t object, const std::string& name, const StoreAttribute& value,
                     const std::string& what);
StoreAttribute read_attribute(hid_t object, const std::string& name, const std::string& what);

// A tensor of the store, as both sides know it.
struct Entry {
  TensorInfo info;
  std::string checksum;
};

// The digest over names, types, shapes, checksums and attributes that marks a store as complete.
std::string manifest(const std::map<std::string, Entry>& tensors,
                     const std::map<std::string, StoreAttribute>& attributes);

inline constexpr const char* kFormat = "format";
inline constexpr const char* kFormatName = "trimtab tensor store";
inline constexpr const char* kVersion = "version";
inline constexpr std::int64_t kVersionNumber = 1;
inline constexpr const char* kComplete = "complete";
inline constexpr const char* kTensors = "tensors";
inline constexpr const char* kDType = "dtype";
inline constexpr const char* kChecksum = "sha256";

}  // namespace trimtab::hdf5
