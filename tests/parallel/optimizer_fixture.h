// SPDX-License-Identifier: Apache-2.0
//
// Parameters and gradients with repeatable values for the optimizer tests.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "parallel/optimizer.h"

namespace trimtab {

inline at::Tensor random_values(const std::vector<std::int64_t>& shape, std::uint64_t seed, double scale) {
  at::Tensor values = at::empty(shape, at::kFloat);
  std::mt19937_64 generator(seed);
  auto* data = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i)
    data[i] = static_cast<float>(scale * (2.0 * static_cast<double>(generator() >> 11) * 0x1p-53 - 1.0));
  return values;
}

inline Parameter random_parameter(const std::string& name, const std::vector<std::int64_t>& shape,
                                  std::uint64_t seed, at::ScalarType type = at::kFloat) {
  return {name, random_values(shape, seed, 0.5).to(type)};
}

inline void set_gradient(const Parameter& parameter, const at::Tensor& gradient) {
  parameter.leaf.mutable_grad() = gradient.to(parameter.leaf.scalar_type()).clone();
}

inline OptimizerConfig named(const std::string& name) {
  OptimizerConfig config;
  config.name = name;
  return config;
}

inline std::vector<float> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

}  // namespace trimtab
