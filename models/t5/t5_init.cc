// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_init.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// 0 stands for "all ones".
double deviation(const std::string& name, const T5Config& config) {
  const auto d = static_cast<double>(config.d_model);
  if (ends_with(name, "layer_norm.weight")) return 0.0;
  if (name == "shared.weight") return 1.0;
  if (ends_with(name, ".q.weight")) return 1.0 / std::sqrt(d * static_cast<double>(config.d_kv));
  if (ends_with(name, ".o.weight")) return 1.0 / std::sqrt(static_cast<double>(config.inner()));
  if (ends_with(name, ".wo.weight")) return 1.0 / std::sqrt(static_cast<double>(config.d_ff));
  return 1.0 / std::sqrt(d);  // k, v, wi, the bias tables and the head
}

// Calls fn(flat index in the tensor, flat index in the slab, count) for each contiguous run of a slab of a
// matrix or vector.
template <class Fn>
void for_each_run(const Shape& shape, const Slab& slab, Fn fn) {
  const std::int64_t width = shape.back();
  const std::int64_t rows = shape.size() == 2 ? (slab.count.empty() ? shape[0] : slab.count[0]) : 1;
  const std::int64_t row0 = shape.size() == 2 && !slab.begin.empty() ? slab.begin[0] : 0;
  const std::int64_t column0 = slab.begin.empty() ? 0 : slab.begin.back();
  const std::int64_t columns = slab.count.empty() ? width : slab.count.back();
  for (std::int64_t r = 0; r < rows; ++r) fn((row0 + r) * width + column0, r * columns, columns);
}

}  // namespace

T5RandomWeights::T5RandomWeights(const T5Config& config, std::uint64_t seed)
    : config_(config), seed_(seed), weights_(t5_weights(config)) {}

std::vector<std::string> T5RandomWeights::names() const {
  std::vector<std::string> result;
  for (const WeightShape& weight : weights_) result.push_back(weight.name);
  std::sort(result.begin(), result.end());
  return result;
}

std::size_t T5RandomWeights::index_of(const std::string& name) const {
  for (std::size_t i = 0; i < weights_.size(); ++i)
    if (weights_[i].name == name) return i;
  fail("{} have no tensor '{}'", path_, name);
}

bool T5RandomWeights::has(const std::string& name) const {
  for (const WeightShape& weight : weights_)
    if (weight.name == name) return true;
  return false;
}

TensorInfo T5RandomWeights::info(const std::string& name) const {
  return {DType::kFloat32, weights_[index_of(name)].shape};
}

void T5RandomWeights::read(const std::string& name, const Slab& slab, DType type, void* out) const {
  TT_CHECK(type == DType::kFloat32 || type == DType::kBFloat16, "{}: random weights are floats", name);
  const std::size_t index = index_of(name);
  const RandomStream stream(seed_, Purpose::kInit, index);
  const auto scale = static_cast<float>(deviation(name, config_));
  std::vector<float> run;
  for_each_run(weights_[index].shape, slab, [&](std::int64_t from, std::int64_t to, std::int64_t count) {
    const auto n = static_cast<std::size_t>(count);
    run.assign(n, 1.0f);
    if (scale > 0) {
      fill_normal(stream, static_cast<std::uint64_t>(from), n, run.data());
      for (float& x : run) x *= scale;
    }
    if (type == DType::kFloat32) {
      std::memcpy(static_cast<float*>(out) + to, run.data(), n * sizeof(float));
      return;
    }
    for (std::size_t i = 0; i < n; ++i)
      static_cast<std::uint16_t*>(out)[to + static_cast<std::int64_t>(i)] = float_to_bfloat16(run[i]);
  });
}

}  // namespace trimtab
