// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of T5X (Roberts et al. 2022), from which the paper's own code starts: a folder with the msgpack
// file `checkpoint`, which holds the tree of parameters with small ones inside, and a zarr array
// `target.<name>` for each large one. Only the model is read, not the optimizer's state.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/formats/zarr.h"
#include "runtime/tensor_source.h"

namespace trimtab {

// Whether a folder is such a checkpoint.
bool is_t5x_checkpoint(const std::string& folder);

// Parameters by the names of T5X, as "decoder.layers_0.mlp.wo.kernel".
class T5xCheckpoint {
 public:
  // Reads the index and the description of each array. Throws Error that names the file and what of it is
  // malformed or missing.
  explicit T5xCheckpoint(std::string folder);

  const std::string& path() const { return folder_; }
  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return arrays_.contains(name); }
  const Shape& shape(const std::string& name) const { return find(name).info.shape; }
  // The whole tensor, row-major: chunks can only be unpacked whole.
  std::vector<float> values(const std::string& name) const;

 private:
  struct Array {
    ZarrInfo info;
    bool inside = false;          // in the file `checkpoint`
    std::vector<float> values{};  // only then
  };
  struct Index;
  const Array& find(const std::string& name) const;
  std::string folder_of(const std::string& name) const;

  std::string folder_;
  std::map<std::string, Array> arrays_;
};

}  // namespace trimtab
