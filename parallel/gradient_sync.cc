// SPDX-License-Identifier: Apache-2.0
#include "parallel/gradient_sync.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "parallel/blocks.h"
#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// The last places of the flat vector: loss and token count in two parts each.
using Totals = std::array<float, 4>;

// Sums of the low parts stay below 2^24, the last float32 integer without gaps, for up to so many replicas.
constexpr std::int64_t kTokenBase = 4096;
constexpr int kMostReplicas = 4096;

Totals pack(double loss, std::int64_t tokens) {
  const auto high = static_cast<float>(loss);
  const float low = std::isfinite(loss) ? static_cast<float>(loss - static_cast<double>(high)) : 0.0f;
  const std::int64_t multiples = tokens / kTokenBase, rest = tokens % kTokenBase;
  return {high, low, static_cast<float>(multiples), static_cast<float>(rest)};
}

void unpack(const Totals& totals, StepTotals& out) {
  out.loss = static_cast<double>(totals[0]) + static_cast<double>(totals[1]);
  out.tokens = static_cast<std::int64_t>(totals[2]) * kTokenBase + static_cast<std::int64_t>(totals[3]);
}

double sum_of_squares(const at::Tensor& gradient) {
  if (!gradient.device().is_cpu() || gradient.scalar_type() != at::kFloat || !gradient.is_contiguous())
    return gradient.to(at::kDouble).square().sum().item<double>();
  const float* g = gradient.const_data_ptr<float>();
  return detail::sum_blocks(
      gradient.numel(), detail::kBlockElements, [g](std::int64_t begin, std::int64_t end) {
        return detail::sum_elements(begin, end,
                                    [g](std::int64_t i) { return static_cast<double>(g[i]) * g[i]; });
      });
}

[[noreturn]] void fail_not_finite(const std::string& name, const at::Tensor& gradient,
                                  const StepTotals& totals) {
  const at::Tensor bad = at::isfinite(gradient).logical_not().flatten();
  throw NotFinite(fmt::format(
      "the gradient of {} is not finite: {} NaN and {} infinite of {} values, the first at element {} (loss "
      "{} over {} "
      "target tokens): lower optimizer.learning_rate, or compute in float32",
      name, at::isnan(gradient).sum().item<std::int64_t>(), at::isinf(gradient).sum().item<std::int64_t>(),
      gradient.numel(), bad.nonzero()[0].item<std::int64_t>(), totals.loss, totals.tokens));
}

}  // namespace

StepTotals GradientSync::reduce(const Parameters& parameters, double loss, std::int64_t tokens) {
  TT_CHECK(tokens >= 0, "{} target tokens", tokens);
  StepTotals totals{loss, tokens, 0.0};
  if (data_.size() > 1) sum_over_replicas(parameters, totals);
  if (!std::isfinite(totals.loss))
    throw NotFinite(fmt::format(
        "the loss is {} over {} target tokens: lower optimizer.learning_rate, or compute in float32",
        totals.loss, totals.tokens));
  double squares = 0.0;
  for (const Parameter& parameter : parameters) {
    const at::Tensor gradient = parameter.grad();
    if (!gradient.defined()) continue;
    // Squares of finite floats cannot overflow a double, so the sum is finite exactly if every value is.
    const double own = sum_of_squares(gradient);
    if (!std::isfinite(own)) fail_not_finite(parameter.name, gradient, totals);
    squares += own;
  }
  totals.gradient_norm = std::sqrt(squares);
  return totals;
}

void GradientSync::sum_over_replicas(const Parameters& parameters, StepTotals& totals) {
  TT_CHECK(data_.size() <= kMostReplicas, "{} replicas: the token count is exact for at most {}",
           data_.size(), kMostReplicas);
  Totals packed = pack(totals.loss, totals.tokens);
  std::int64_t count = static_cast<std::int64_t>(packed.size());
  at::Device device = at::kCPU;
  for (const Parameter& parameter : parameters) {
    if (!parameter.leaf.grad().defined())
      parameter.leaf.mutable_grad() = at::zeros_like(parameter.leaf.detach());
    count += parameter.value().numel();
    device = parameter.leaf.device();
  }
  if (!flat_.defined() || flat_.numel() != count || flat_.device() != device)
    flat_ = at::empty({count}, at::TensorOptions().dtype(at::kFloat).device(device));
  const auto part_of = [this](const at::Tensor& gradient, std::int64_t at) {
    return flat_.narrow(0, at, gradient.numel()).view(gradient.sizes());
  };
  std::int64_t at = 0;
  for (const Parameter& parameter : parameters) {
    const at::Tensor gradient = parameter.grad();
    part_of(gradient, at).copy_(gradient);
    at += gradient.numel();
  }
  const at::Tensor host =
      at::from_blob(packed.data(), {static_cast<std::int64_t>(packed.size())}, at::kFloat);
  const at::Tensor tail = flat_.narrow(0, at, host.numel());
  tail.copy_(host);
  data_.all_reduce(buffer_of(flat_), ReduceOp::kSum, Traffic::kGradient);
  host.copy_(tail);
  unpack(packed, totals);
  at = 0;
  for (const Parameter& parameter : parameters) {
    at::Tensor gradient = parameter.grad();
    gradient.copy_(part_of(gradient, at));
    at += gradient.numel();
  }
}

}  // namespace trimtab
