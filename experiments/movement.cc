// SPDX-License-Identifier: Apache-2.0
#include "experiments/movement.h"

#include <ATen/ATen.h>

#include <cmath>

namespace trimtab {
namespace {

std::vector<at::Tensor> copies(const Parameters& parameters) {
  std::vector<at::Tensor> out;
  for (const Parameter& parameter : parameters) out.push_back(parameter.value().clone());
  return out;
}

double squared(const at::Tensor& tensor) { return tensor.to(at::kDouble).square().sum().item<double>(); }

double norm(const std::vector<at::Tensor>& tensors) {
  double sum = 0.0;
  for (const at::Tensor& tensor : tensors) sum += squared(tensor);
  return std::sqrt(sum);
}

}  // namespace

Movement::Movement(const Parameters& parameters, bool enabled) : parameters_(parameters), enabled_(enabled) {
  if (enabled_) start_ = copies(parameters_);
}

void Movement::before_step() {
  if (enabled_) before_ = copies(parameters_);
}

void Movement::add_to(nlohmann::ordered_json& values) const {
  if (!enabled_) return;
  double sum = 0.0;
  for (const Parameter& parameter : parameters_) sum += squared(parameter.value());
  const double size = std::sqrt(sum);
  values["norm"] = size;
  if (!before_.empty()) values["update_ratio"] = size > 0.0 ? distance(before_) / size : 0.0;
  values["moved"] = distance(start_);
}

double Movement::moved_share() const {
  const double size = norm(start_);
  const double moved = distance(start_);
  return size > 0.0 ? moved / size : moved;
}

double Movement::distance(const std::vector<at::Tensor>& from) const {
  double sum = 0.0;
  for (std::size_t i = 0; i < from.size(); ++i) sum += squared(parameters_[i].value() - from[i]);
  return std::sqrt(sum);
}

}  // namespace trimtab
