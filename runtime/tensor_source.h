// SPDX-License-Identifier: Apache-2.0
//
// Where weights come from: named logical tensors, of which any slab can be read. A rank reads only the slab
// that it holds, so a file is never split beforehand. Implemented by TensorStore (HDF5) and by the
// safetensors reader.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/dtype.h"

namespace trimtab {

using Shape = std::vector<std::int64_t>;

struct TensorInfo {
  DType dtype = DType::kFloat32;
  Shape shape;
};

// The part [begin, begin + count) of each dim. An empty slab is the whole tensor.
struct Slab {
  std::vector<std::int64_t> begin;
  std::vector<std::int64_t> count;
};

class TensorSource {
 public:
  virtual ~TensorSource() = default;

  // For messages: the file or folder that the tensors come from.
  virtual const std::string& path() const = 0;
  // Sorted.
  virtual std::vector<std::string> names() const = 0;
  virtual bool has(const std::string& name) const = 0;
  // Throws Error that names file, tensor and the nearest known name when it is not there.
  virtual TensorInfo info(const std::string& name) const = 0;
  // Fills `out` (row-major, size_of(type) bytes an element of the slab), converted to `type` (float32 <->
  // bfloat16 and int32 <-> int64; anything else throws). Throws Error that names file, tensor, shape and slab
  // when it does not fit.
  virtual void read(const std::string& name, const Slab& slab, DType type, void* out) const = 0;
  // Reads everything that was stored with a checksum; throws Error that names the first tensor whose elements
  // are not what was written. Formats without checksums have nothing to verify.
  virtual void verify() const {}
  // Gives back the memory that reading has taken, such as pages of a mapped file. What is read afterwards is
  // read as before.
  virtual void forget() const {}
};

}  // namespace trimtab
