// SPDX-License-Identifier: Apache-2.0
//
// How far small trained tensors move: the numbers that show whether prompt tuning works at all.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parallel/parameter.h"
#include "parallel/slice_sums.h"

namespace trimtab {

class Movement {
 public:
  // Remembers the values at the start. With `enabled` false (a whole model is trained) it holds and measures
  // nothing. `parameters` are those of this rank, `sums` adds what other ranks hold; both must outlive this.
  Movement(const Parameters& parameters, SliceSums& sums, bool enabled);

  // To be called before each optimizer step.
  void before_step();
  // L2 norms over all parameters together after the step: "norm", "update_ratio" (of the step to the norm)
  // and "moved" (distance from the start). Collective over the ranks of a replica.
  void add_to(nlohmann::ordered_json& values) const;

  // Distance from the start over the norm at the start. Collective over the ranks of a replica.
  double moved_share() const;
  bool enabled() const { return enabled_; }

 private:
  using TensorOf = std::function<at::Tensor(std::size_t parameter)>;
  // Of one tensor for each parameter, over all ranks together.
  double norm(const TensorOf& tensor) const;
  double distance(const std::vector<at::Tensor>& from) const;

  const Parameters& parameters_;
  SliceSums& sums_;
  bool enabled_;
  std::vector<at::Tensor> start_, before_;
};

}  // namespace trimtab
