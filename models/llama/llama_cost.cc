// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_cost.h"

#include "runtime/check.h"

namespace trimtab {

std::vector<CostUnit> llama_cost_units(const LlamaConfig& config, const RowLengths& lengths) {
  if (!(lengths.input >= 1) || !(lengths.target >= 1))
    fail_config("mean lengths of {} input and {} target tokens: both must be at least 1", lengths.input,
                lengths.target);
  // A multiply-add is two operations, once forward and once for the gradient of the input. Scores and mixing
  // are two products of activations forward and five backward, over half of all pairs.
  constexpr double kMatrix = 2 * 2, kProductsBoth = 2 * 7;
  const double tokens = lengths.input + lengths.target - 1;
  const auto width = static_cast<double>(config.d_model), inner = static_cast<double>(config.inner());
  const double pairs = kProductsBoth * tokens * tokens * inner / 2;
  const double projections = width * (inner + 2 * static_cast<double>(config.kv_inner()));
  // Behind the last layer's attention only the positions before targets go on.
  const double rest = width * (inner + 3 * static_cast<double>(config.d_ff));
  std::vector<CostUnit> units;
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const double going_on = i + 1 == config.layers ? lengths.target : tokens;
    units.push_back({fmt::format("layer {}", i), pairs + kMatrix * (tokens * projections + going_on * rest)});
  }
  units.front().cost += tokens * width;
  units.back().cost += kMatrix * lengths.target * width * static_cast<double>(config.vocab);
  return units;
}

}  // namespace trimtab
