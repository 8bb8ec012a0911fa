// SPDX-License-Identifier: Apache-2.0
//
// How far small trained tensors move: the numbers that show whether prompt tuning works at all.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parallel/parameter.h"

namespace trimtab {

class Movement {
 public:
  // Remembers the values at the start. With `enabled` false (a whole model is trained) it holds and measures
  // nothing. The parameters must outlive this.
  Movement(const Parameters& parameters, bool enabled);

  // To be called before an optimizer step.
  void before_step();
  // L2 norms over all parameters together after the step: "norm", "update_ratio" (of the step to the norm)
  // and "moved" (distance from the start).
  void add_to(nlohmann::ordered_json& values) const;

  // Distance from the start over the norm at the start.
  double moved_share() const;
  bool enabled() const { return enabled_; }

 private:
  double distance(const std::vector<at::Tensor>& from) const;

  const Parameters& parameters_;
  bool enabled_;
  std::vector<at::Tensor> start_, before_;
};

}  // namespace trimtab
