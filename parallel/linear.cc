// SPDX-License-Identifier: Apache-2.0
#include "parallel/linear.h"

#include <ATen/ops/linear.h>

#include <optional>
#include <utility>

#include "parallel/collectives.h"

namespace trimtab {

at::Tensor linear_in_weight_type(const at::Tensor& x_ti, const at::Tensor& weight, const at::Tensor& bias) {
  const std::optional<at::Tensor> added = bias.defined() ? std::optional(bias) : std::nullopt;
  if (x_ti.scalar_type() == weight.scalar_type()) return at::linear(x_ti, weight, added);
  return at::linear(x_ti.to(weight.scalar_type()), weight, added).to(x_ti.scalar_type());
}

ColumnParallelLinear::ColumnParallelLinear(at::Tensor weight, Communicator& tensor, at::Tensor bias)
    : weight_(std::move(weight)), bias_(std::move(bias)), tensor_(&tensor) {}

at::Tensor ColumnParallelLinear::operator()(const at::Tensor& x_ti) const {
  return linear_in_weight_type(enter_tensor_region(x_ti, *tensor_), weight_, bias_);
}

RowParallelLinear::RowParallelLinear(at::Tensor weight, Communicator& tensor)
    : weight_(std::move(weight)), tensor_(&tensor) {}

at::Tensor RowParallelLinear::operator()(const at::Tensor& x_ti) const {
  return leave_tensor_region(linear_in_weight_type(x_ti, weight_), *tensor_);
}

}  // namespace trimtab
