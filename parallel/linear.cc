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

LinearShare::LinearShare(at::Tensor weight, Communicator& tensor, at::Tensor bias)
    : weight_(std::move(weight)), bias_(std::move(bias)), tensor_(&tensor) {}

at::Tensor LinearShare::apply(const at::Tensor& x_ti, const AdapterPass* pass) const {
  if (!adapter_) return linear_in_weight_type(x_ti, weight_, bias_);
  return adapter_->output(x_ti, linear_in_weight_type(adapter_->input(x_ti), weight_, bias_), pass);
}

at::Tensor ColumnParallelLinear::operator()(const at::Tensor& x_ti, const AdapterPass* pass) const {
  return apply(enter_tensor_region(x_ti, tensor()), pass);
}

at::Tensor RowParallelLinear::operator()(const at::Tensor& x_ti, const AdapterPass* pass) const {
  return leave_tensor_region(apply(x_ti, pass), tensor());
}

}  // namespace trimtab
