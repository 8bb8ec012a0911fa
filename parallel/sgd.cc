// SPDX-License-Identifier: Apache-2.0
#include "parallel/sgd.h"

#include <algorithm>
#include <cmath>

#include "parallel/blocks.h"

namespace trimtab {

std::vector<Optimizer::StateShape> Sgd::state_shapes(const Parameter& parameter) const {
  if (config().momentum == 0.0) return {};
  return {{"m", parameter.value().sizes().vec(), parameter.cut}};
}

void Sgd::update(std::vector<Item>& items, const Update& update) {
  const auto momentum = static_cast<float>(config().momentum);
  const auto keep = static_cast<float>(1.0 - update.learning_rate * config().weight_decay);
  const auto rate = static_cast<float>(update.learning_rate);
  const float scale = update.gradient_scale;
  std::vector<PartialSum> sums;
  for (Item& item : items) {
    float* p = item.value;
    const float* g = item.gradient;
    float* m = momentum == 0.0f ? nullptr : item.slot->at("m").data_ptr<float>();
    const auto move = [=](std::int64_t begin, std::int64_t end) {
      return detail::sum_elements(begin, end, [=](std::int64_t i) {
        float u = g[i] * scale;
        if (m != nullptr) u = m[i] = momentum * m[i] + u;
        p[i] = keep * p[i] - rate * u;
        return u * u;
      });
    };
    sums.push_back(
        {item.parameter, SumOver::kAll, {detail::sum_blocks(item.count, detail::kBlockElements, move)}});
  }
  slices().combine(sums);
  for (std::size_t i = 0; i < items.size(); ++i)
    items[i].stats->update_rms =
        std::sqrt(sums[i].values[0] / static_cast<double>(std::max<std::int64_t>(1, items[i].whole_count)));
}

}  // namespace trimtab
