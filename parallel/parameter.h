// SPDX-License-Identifier: Apache-2.0
//
// A trainable tensor. Frozen is the default: only what a tuning method returned as a Parameter is ever
// trained, reduced, stepped or saved.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "parallel/cut.h"

namespace trimtab {

// `leaf` is the autograd leaf that collects the gradient. A leaf may hold several logical tensors stacked
// along dim 0 (queries, keys and values share one matrix multiplication); a Parameter is then the rows [row,
// row + rows) of it.
struct Parameter {
  std::string name;  // logical name, unique in the model
  at::Tensor leaf;   // requires_grad
  std::int64_t row = 0;
  std::int64_t rows = -1;  // -1: the whole leaf
  Cut cut{};               // how the tensor ranks share it

  // The tensor itself, sharing storage with the leaf, without autograd.
  at::Tensor value() const {
    const at::Tensor data = leaf.detach();
    return rows < 0 ? data : data.narrow(0, row, rows);
  }
  // Its gradient, sharing storage with leaf.grad(); undefined before the first backward.
  at::Tensor grad() const {
    const at::Tensor& all = leaf.grad();
    return !all.defined() || rows < 0 ? all : all.narrow(0, row, rows);
  }
};

using Parameters = std::vector<Parameter>;

inline Shape whole_shape(const Parameter& parameter) {
  return whole_shape(parameter.value().sizes().vec(), parameter.cut);
}

// A tensor, or this rank's share of it, under its logical name.
struct NamedSlice {
  std::string name;
  at::Tensor value;
  Cut cut{};
};

}  // namespace trimtab
