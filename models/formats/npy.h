// SPDX-License-Identifier: Apache-2.0
//
// NumPy's .npy format (numpy.lib.format), in which the prompt-tuning reference stores prompts: one float32
// array [positions, d_model] in a file of version 1.0 whose name has no extension.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/tensor_source.h"

namespace trimtab {

struct NpyArray {
  Shape shape;
  std::vector<float> values;  // row-major
};

// Reads '<f4' and '<f8' (rounded to float32), versions 1 to 3, C or Fortran order (transposed). Throws Error
// that names the file and what is wrong with it.
NpyArray read_npy(const std::string& path);

// Writes '<f4', C order, version 1.0; the file is there in full or not at all.
void write_npy(const std::string& path, const Shape& shape, std::span<const float> values);

}  // namespace trimtab
