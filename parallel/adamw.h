// SPDX-License-Identifier: Apache-2.0
//
// AdamW (Loshchilov and Hutter 2019): Adam with bias correction, and weight decay that is multiplied by the
// learning rate.
//   m = beta1 m + (1 - beta1) g     v = beta2 v + (1 - beta2) g^2     t = steps made + 1, whatever start_step
//   is u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)       p = (1 - rate weight_decay) p - rate
//   u
#pragma once

#include "parallel/optimizer.h"

namespace trimtab {

class AdamW final : public Optimizer {
 public:
  using Optimizer::Optimizer;

 private:
  void update(std::vector<Item>& items, const Update& update) override;
  std::vector<StateShape> state_shapes(const Parameter& parameter) const override;
  double update_one(Item& item, const Update& update) const;
};

}  // namespace trimtab
