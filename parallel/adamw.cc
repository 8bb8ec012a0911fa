// SPDX-License-Identifier: Apache-2.0
#include "parallel/adamw.h"

#include <algorithm>
#include <cmath>

#include "parallel/blocks.h"

namespace trimtab {

std::vector<Optimizer::StateShape> AdamW::state_shapes(const Parameter& parameter) const {
  const Shape shape = parameter.value().sizes().vec();
  return {{"m", shape, parameter.cut}, {"v", shape, parameter.cut}};
}

void AdamW::update(std::vector<Item>& items, const Update& update) {
  std::vector<PartialSum> sums;
  for (Item& item : items) sums.push_back({item.parameter, SumOver::kAll, {update_one(item, update)}});
  slices().combine(sums);
  for (std::size_t i = 0; i < items.size(); ++i)
    items[i].stats->update_rms =
        std::sqrt(sums[i].values[0] / static_cast<double>(std::max<std::int64_t>(1, items[i].whole_count)));
}

// Returns the sum of u^2 over the slice.
double AdamW::update_one(Item& item, const Update& update) const {
  const auto step = static_cast<double>(update.step_index + 1);
  const auto keep_m = static_cast<float>(config().beta1);
  const auto keep_v = static_cast<float>(config().beta2);
  const auto mix_m = static_cast<float>(1.0 - config().beta1);
  const auto mix_v = static_cast<float>(1.0 - config().beta2);
  const auto by_m = static_cast<float>(1.0 / (1.0 - std::pow(config().beta1, step)));
  const auto by_v = static_cast<float>(1.0 / (1.0 - std::pow(config().beta2, step)));
  const auto epsilon = static_cast<float>(config().epsilon);
  const auto keep = static_cast<float>(1.0 - update.learning_rate * config().weight_decay);
  const auto rate = static_cast<float>(update.learning_rate);
  const float scale = update.gradient_scale;
  float* p = item.value;
  float* m = item.slot->at("m").data_ptr<float>();
  float* v = item.slot->at("v").data_ptr<float>();
  const float* g = item.gradient;
  return detail::sum_blocks(item.count, detail::kBlockElements, [=](std::int64_t begin, std::int64_t end) {
    return detail::sum_elements(begin, end, [=](std::int64_t i) {
      const float value = g[i] * scale;
      m[i] = keep_m * m[i] + mix_m * value;
      v[i] = keep_v * v[i] + mix_v * value * value;
      const float u = m[i] * by_m / (std::sqrt(v[i] * by_v) + epsilon);
      p[i] = keep * p[i] - rate * u;
      return u * u;
    });
  });
}

}  // namespace trimtab
