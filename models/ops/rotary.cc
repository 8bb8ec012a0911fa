// SPDX-License-Identifier: Apache-2.0
#include "models/ops/rotary.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/ops/op_support.h"
#include "parallel/upload.h"

namespace trimtab {

RotaryTable::RotaryTable(std::vector<float> frequencies, bool interleaved)
    : frequencies_(std::move(frequencies)), interleaved_(interleaved) {}

RotaryAngles RotaryTable::up_to(std::int64_t positions) {
  const auto half = static_cast<std::int64_t>(frequencies_.size());
  if (!cos_.defined() || cos_.size(0) < positions) {
    cos_ = at::empty({positions, half}, at::kFloat);
    sin_ = at::empty({positions, half}, at::kFloat);
    auto* cos = cos_.mutable_data_ptr<float>();
    auto* sin = sin_.mutable_data_ptr<float>();
    for (std::int64_t t = 0; t < positions; ++t)
      for (const float frequency : frequencies_) {
        const float angle = static_cast<float>(t) * frequency;  // float32, as the reference has it
        *cos++ = std::cos(angle);
        *sin++ = std::sin(angle);
      }
  }
  return {cos_.narrow(0, 0, positions), sin_.narrow(0, 0, positions), interleaved_};
}

RotaryAngles RotaryTable::at(const std::vector<std::int64_t>& positions) {
  const std::int64_t highest = positions.empty() ? 0 : *std::ranges::max_element(positions);
  const RotaryAngles all = up_to(highest + 1);
  const at::Tensor index = at::tensor(positions, at::kLong);
  return {all.cos.index_select(0, index), all.sin.index_select(0, index), interleaved_};
}

RotaryAngles detail::angles_of_tokens(const RotaryAngles& angles, const RowLayout& layout) {
  at::Tensor positions = at::empty({layout.tokens()}, at::kLong);
  auto* to = positions.mutable_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    for (std::int64_t t = 0; t < layout.length(row); ++t) *to++ = t;
  return {angles.cos.index_select(0, positions), angles.sin.index_select(0, positions), angles.interleaved};
}

at::Tensor detail::rotated_reference(const at::Tensor& x, std::int64_t heads, const RotaryAngles& angles) {
  const at::ScalarType type = compute_type(x);
  const std::int64_t half = angles.cos.size(1);
  const at::Tensor cos = upload(angles.cos, x.device()).to(type).unsqueeze(1);
  const at::Tensor sin = upload(angles.sin, x.device()).to(type).unsqueeze(1);
  // [tokens, heads, half] each
  const at::Tensor wide = x.to(type).reshape({x.size(0), heads, 2 * half});
  at::Tensor a, b;
  if (angles.interleaved) {
    const at::Tensor pairs = wide.view({x.size(0), heads, half, 2});
    a = pairs.select(3, 0);
    b = pairs.select(3, 1);
  } else {
    a = wide.narrow(2, 0, half);
    b = wide.narrow(2, half, half);
  }
  const at::Tensor turned_a = a * cos - b * sin, turned_b = a * sin + b * cos;
  const at::Tensor turned =
      angles.interleaved ? at::stack({turned_a, turned_b}, 3) : at::cat({turned_a, turned_b}, 2);
  return turned.reshape(x.sizes()).to(x.scalar_type());
}

}  // namespace trimtab
