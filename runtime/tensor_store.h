// SPDX-License-Identifier: Apache-2.0
//
// Named logical tensors and a few attributes in one HDF5 file (docs/formats.md): a store is complete or it is
// not opened, each tensor has a checksum, and any slab can be read without the rest. Whoever loads or saves
// owns the object. Calls into HDF5 are serialised inside, so several threads may read; a writer is used by
// one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/atomic_file.h"
#include "runtime/tensor_source.h"

namespace trimtab {

using StoreAttribute = std::variant<std::int64_t, double, std::string>;

// Writes beside `path`; only commit() makes the store appear there, whole. Without it nothing is left behind,
// and what `path` held before is untouched. All functions throw Error that names file and tensor.
class TensorStoreWriter {
 public:
  // Throws if the folder cannot be written.
  explicit TensorStoreWriter(std::string path);
  ~TensorStoreWriter();
  TensorStoreWriter(const TensorStoreWriter&) = delete;
  TensorStoreWriter& operator=(const TensorStoreWriter&) = delete;

  // The whole tensor: row-major elements of info.dtype. A name has no '/' and is used once.
  void write(const std::string& name, const TensorInfo& info, const void* data);
  // A part of it; `data` holds the elements of the slab. The parts of a tensor must not overlap and fill it
  // together, and `info` must be the same each time.
  void write(const std::string& name, const TensorInfo& info, const Slab& slab, const void* data);

  // An attribute of the file; used once a name. Not "format", "version", "complete", which the store needs
  // itself.
  void set(const std::string& name, const StoreAttribute& value);

  // Throws if a tensor is not filled.
  void commit(Durability durability = Durability::kPowerCut);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class TensorStore final : public TensorSource {
 public:
  // Throws Error that names the file if it is missing, no store, truncated, damaged or never committed.
  explicit TensorStore(std::string path);
  ~TensorStore() override;
  TensorStore(const TensorStore&) = delete;
  TensorStore& operator=(const TensorStore&) = delete;

  const std::string& path() const override;
  std::vector<std::string> names() const override;
  bool has(const std::string& name) const override;
  TensorInfo info(const std::string& name) const override;
  // An int64 that does not fit a wanted int32 throws.
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override;

  // SHA-256 of the tensor's elements (row-major, little-endian) as 64 hexadecimal digits, as noted when
  // written.
  const std::string& checksum(const std::string& name) const;
  void verify() const override;

  const std::map<std::string, StoreAttribute>& attributes() const;
  // Throw Error if there is no such attribute or it has another type.
  std::int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  const std::string& text(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trimtab
