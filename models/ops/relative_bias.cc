// SPDX-License-Identifier: Apache-2.0
//
// T5's relative position bias: from distances to rows of a table, and its gradient back.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "models/ops/op_support.h"
#include "models/ops/self_attention.h"

namespace trimtab {

at::Tensor detail::bias_by_distance(const at::Tensor& table, const RelativeBias& bias, std::int64_t longest) {
  const at::Tensor dense = table.contiguous();
  const std::int64_t heads = dense.size(1);
  const std::int64_t distances = 2 * longest - 1;
  at::Tensor values = at::empty({heads, distances}, dense.options());
  const float* from = dense.const_data_ptr<float>();
  float* to = values.mutable_data_ptr<float>();
  for (std::int64_t d = 0; d < distances; ++d) {
    const std::int64_t bucket = relative_bucket(d - (longest - 1), bias);
    for (std::int64_t head = 0; head < heads; ++head) to[head * distances + d] = from[bucket * heads + head];
  }
  return values;
}

std::int64_t relative_bucket(std::int64_t distance, const RelativeBias& bias) {
  std::int64_t buckets = bias.buckets;
  std::int64_t first = 0;
  std::int64_t steps = -distance;
  if (bias.bidirectional) {
    buckets /= 2;
    if (distance > 0) first = buckets;
    steps = std::abs(distance);
  }
  steps = std::max<std::int64_t>(steps, 0);
  const std::int64_t exact = buckets / 2;
  if (steps < exact) return first + steps;
  const float ratio =
      std::log(static_cast<float>(steps) / static_cast<float>(exact)) /
      static_cast<float>(std::log(static_cast<double>(bias.max_distance) / static_cast<double>(exact)));
  const auto further = static_cast<std::int64_t>(ratio * static_cast<float>(buckets - exact));
  return first + std::min(exact + further, buckets - 1);
}

at::Tensor detail::bias_table_gradient(const at::Tensor& by_distance, const RelativeBias& bias,
                                       std::int64_t longest) {
  const std::int64_t rows = by_distance.size(0);
  const std::int64_t heads = by_distance.size(1);
  const std::int64_t distances = by_distance.size(2);
  at::Tensor gradient = at::zeros({bias.buckets, heads}, by_distance.options());
  const float* from = by_distance.const_data_ptr<float>();
  float* to = gradient.mutable_data_ptr<float>();
  std::vector<std::int64_t> buckets(static_cast<std::size_t>(distances));
  for (std::int64_t d = 0; d < distances; ++d)
    buckets[static_cast<std::size_t>(d)] = relative_bucket(d - (longest - 1), bias);
  detail::for_units(heads, [&](std::int64_t head, std::int64_t) {
    std::vector<double> sums(static_cast<std::size_t>(bias.buckets), 0.0);
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t d = 0; d < distances; ++d)
        sums[static_cast<std::size_t>(buckets[static_cast<std::size_t>(d)])] +=
            from[(row * heads + head) * distances + d];
    for (std::int64_t b = 0; b < bias.buckets; ++b)
      to[b * heads + head] = static_cast<float>(sums[static_cast<std::size_t>(b)]);
  });
  return gradient;
}

}  // namespace trimtab
