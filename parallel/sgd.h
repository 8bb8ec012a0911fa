// SPDX-License-Identifier: Apache-2.0
//
// Stochastic gradient descent with momentum, and weight decay that is multiplied by the learning rate and not
// by momentum.
//   m = momentum m + g      p = (1 - rate weight_decay) p - rate m
#pragma once

#include "parallel/optimizer.h"

namespace trimtab {

class Sgd final : public Optimizer {
 public:
  using Optimizer::Optimizer;

 private:
  void update(std::vector<Item>& items, const Update& update) override;
  // Keeps nothing without momentum.
  std::vector<StateShape> state_shapes(const Parameter& parameter) const override;
};

}  // namespace trimtab
