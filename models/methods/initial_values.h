// SPDX-License-Identifier: Apache-2.0
//
// Random initial values of what methods train, drawn by name and seed: the same on every mesh, of which each
// tensor rank takes its share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "models/model.h"
#include "parallel/parameter.h"
#include "runtime/communicator.h"
#include "runtime/shard.h"

namespace trimtab {

// A number of a name (FNV-1a), by which what belongs to it is drawn.
std::uint64_t number_of(std::string_view name);

class InitialValues {
 public:
  // Values are made on the device of `stage`, which outlives this.
  InitialValues(std::uint64_t seed, ModelStage& stage)
      : seed_(seed), tensor_(stage.tensor_ranks()), device_(stage.device()) {}

  // This rank's share along the dim `cut` of a matrix `shape`, with mean 0.
  at::Tensor normal(const std::string& name, const Shape& shape, double std, const Cut& cut = kWhole) const;
  // Uniform in +-1 / sqrt(in), as LibTorch begins a linear map [out, in].
  at::Tensor linear(const std::string& name, const Shape& shape, const Cut& cut = kWhole) const;
  at::Tensor zeros(const Shape& shape) const;

 private:
  std::uint64_t seed_;
  const Communicator& tensor_;
  at::Device device_;
};

}  // namespace trimtab
