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

}  // namespace

Movement::Movement(const Parameters& parameters, SliceSums& sums, bool enabled)
    : parameters_(parameters), sums_(sums), enabled_(enabled) {
  if (enabled_) start_ = copies(parameters_);
}

void Movement::before_step() {
  if (enabled_) before_ = copies(parameters_);
}

void Movement::add_to(nlohmann::ordered_json& values) const {
  if (!enabled_) return;
  const double size = norm([this](std::size_t i) { return parameters_[i].value(); });
  values["norm"] = size;
  const double step = distance(before_);
  values["update_ratio"] = size > 0.0 ? step / size : 0.0;
  values["moved"] = distance(start_);
}

double Movement::moved_share() const {
  const double size = norm([this](std::size_t i) { return start_[i]; });
  const double moved = distance(start_);
  return size > 0.0 ? moved / size : moved;
}

double Movement::norm(const TensorOf& tensor) const {
  std::vector<PartialSum> squares;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    squares.push_back(
        {&parameters_[i], SumOver::kAll, {tensor(i).to(at::kDouble).square().sum().item<double>()}});
  sums_.combine(squares);
  double sum = 0.0;
  for (const PartialSum& square : squares)
    if (sums_.counts_here(*square.parameter)) sum += square.values[0];
  return std::sqrt(sums_.across_stages(sum));
}

double Movement::distance(const std::vector<at::Tensor>& from) const {
  return norm([&](std::size_t i) { return parameters_[i].value() - from[i]; });
}

}  // namespace trimtab
