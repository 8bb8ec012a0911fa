// SPDX-License-Identifier: Apache-2.0
//
// Adafactor (Shazeer and Stern 2018) with the choices of T5X (t5x/adafactor.py): no momentum; second moments
// of a matrix whose two dims are both >= min_dim_size_to_factor are kept as means of its rows and columns;
// one RMS for the clipping of a whole parameter; weight decay that is not multiplied by the learning rate.
//   t = start_step + steps made      beta2 = 1 - (t + 1)^-decay_exponent      s = g^2 + epsilon1
//   whole:    v = beta2 v + (1 - beta2) s                                      u = g / sqrt(v)
//   factored: v_row, v_col likewise from the means of s along a row and a column
//             u = g / sqrt(v_row / mean(v_row)) / sqrt(v_col)
//   u /= max(1, RMS(u) / clip_threshold)      p = (1 - weight_decay) p - learning_rate [max(epsilon2,
//   RMS(p))] u
#pragma once

#include "parallel/optimizer.h"

namespace trimtab {

class Adafactor final : public Optimizer {
 public:
  using Optimizer::Optimizer;

  // Second moment decay at a step index counted from 0, and one minus it without cancellation.
  static double beta2(std::int64_t step_index, double exponent);
  static double mixing_rate(std::int64_t step_index, double exponent);

 private:
  void update(std::vector<Item>& items, const Update& update) override;
  std::vector<StateShape> state_shapes(const Parameter& parameter) const override;

  struct Plan;  // an item with the pointers into its state
  void update_moments(std::vector<Plan>& plans, const Update& update);
  void find_row_means(std::vector<Plan>& plans);
  void find_scales(std::vector<Plan>& plans, const Update& update);
  void apply(const Plan& plan, const Update& update) const;
};

}  // namespace trimtab
