// SPDX-License-Identifier: Apache-2.0
//
// What a tuning method can add to a linear map of a frozen model: a term (LoRA) or factors (IA3). It works on
// the share of the map that this tensor rank has, between the map's entering and leaving of the tensor
// region, so that it causes no message of its own in the forward pass; what it holds whole on every tensor
// rank goes through enter_tensor_region itself.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/row_layout.h"

namespace trimtab {

// Which rows the tokens of a map's input belong to, and by what dropout masks of a row are drawn. Lives as
// long as one pass.
struct AdapterPass {
  const RowLayout& layout;
  const std::vector<std::uint64_t>& samples;
  bool training = false;
  std::uint64_t seed = 0;
  std::int64_t step = 0;
};

class LinearAdapter {
 public:
  virtual ~LinearAdapter() = default;
  // x [t, in of this rank] -> what the frozen weight is multiplied with.
  virtual at::Tensor input(const at::Tensor& x_ti) const { return x_ti; }
  // y [t, out of this rank], what the frozen map makes of input(x) and nobody else reads -> the result.
  // `pass` is null in decoding.
  virtual at::Tensor output(const at::Tensor& x_ti, const at::Tensor& y_to,
                            const AdapterPass* pass) const = 0;
};

}  // namespace trimtab
