// SPDX-License-Identifier: Apache-2.0
//
// Zarr arrays of version 2 (https://zarr-specs.readthedocs.io, v2), as T5X writes them through TensorStore: a
// folder with the JSON file .zarray and one file a chunk, gzip or not compressed.
#pragma once

#include <string>
#include <vector>

#include "runtime/tensor_source.h"

namespace trimtab {

struct ZarrInfo {
  Shape shape;
  Shape chunks;  // extent of a chunk; those at an edge are stored whole
  DType dtype = DType::kFloat32;
  bool gzip = false;     // else as it is
  char separator = '.';  // between the numbers of a chunk's name
};

// Throws Error that names the file and what of it is malformed or not read.
ZarrInfo zarr_info(const std::string& folder);

// All elements, row-major, in float32. Throws Error that names the chunk that is missing or damaged; no
// memory is asked for that the files could not fill.
std::vector<float> read_zarr(const std::string& folder, const ZarrInfo& info);

}  // namespace trimtab
