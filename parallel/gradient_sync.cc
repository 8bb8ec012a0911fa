// SPDX-License-Identifier: Apache-2.0
#include "parallel/gradient_sync.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "parallel/blocks.h"
#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// The last places of the flat vector: loss and token count.
using Totals = std::array<float, 2>;

// The last float32 integer without gaps: up to here a sum of counts is exact.
constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;

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

// Elements of one all_reduce: the transport splits larger ones anyway.
constexpr std::int64_t kBucketElements = std::int64_t{1} << 24;

// Part of a gradient, and where it lies in the bucket.
struct Piece {
  at::Tensor values;
  std::int64_t at;
};

// All gradients as vectors that share their storage; zeros where there is none.
std::vector<at::Tensor> flat_gradients(const Parameters& parameters) {
  std::vector<at::Tensor> out;
  for (const Parameter& parameter : parameters) {
    at::Tensor& all = parameter.leaf.mutable_grad();
    if (!all.defined()) all = at::zeros_like(parameter.leaf.detach());
    if (!all.is_contiguous()) all = all.contiguous();
    out.push_back(parameter.grad().view(-1));
  }
  return out;
}

[[noreturn]] void fail_not_finite(const Parameter& parameter, const StepTotals& totals) {
  const at::Tensor gradient = parameter.grad();
  const at::Tensor bad = at::isfinite(gradient).logical_not().flatten();
  if (!bad.any().item<bool>())
    throw NotFinite(fmt::format("the gradient of {} is not finite on another tensor rank", parameter.name));
  throw NotFinite(fmt::format(
      "the gradient of {} is not finite: {} NaN and {} infinite of {} values, the first at element {} (loss "
      "{} over {} "
      "target tokens): lower optimizer.learning_rate, or compute in float32",
      parameter.name, at::isnan(gradient).sum().item<std::int64_t>(),
      at::isinf(gradient).sum().item<std::int64_t>(), gradient.numel(), bad.nonzero()[0].item<std::int64_t>(),
      totals.loss, totals.tokens));
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
  totals.gradient_norm = gradient_norm(parameters, totals);
  return totals;
}

// Squares of finite floats cannot overflow a double, so a sum is finite exactly if every value is.
double GradientSync::gradient_norm(const Parameters& parameters, const StepTotals& totals) {
  data_.settle();
  std::vector<PartialSum> sums;
  for (const Parameter& parameter : parameters) {
    const at::Tensor gradient = parameter.grad();
    sums.push_back({&parameter, SumOver::kAll, {gradient.defined() ? sum_of_squares(gradient) : 0.0}});
  }
  slices_->combine(sums);
  double squares = 0.0;
  for (const PartialSum& sum : sums)
    if (slices_->counts_here(*sum.parameter)) squares += sum.values[0];
  squares = slices_->across_stages(squares);
  for (const PartialSum& sum : sums)
    if (!std::isfinite(sum.values[0])) fail_not_finite(*sum.parameter, totals);
  if (!std::isfinite(squares))
    throw NotFinite(fmt::format("a gradient on another stage is not finite (loss {} over {} target tokens)",
                                totals.loss, totals.tokens));
  return std::sqrt(squares);
}

void GradientSync::sum_over_replicas(const Parameters& parameters, StepTotals& totals) {
  TT_CHECK(totals.tokens <= kMostTokens / data_.size(),
           "{} target tokens on one of {} replicas: a step counts exactly up to {} on all", totals.tokens,
           data_.size(), kMostTokens);
  Totals packed{static_cast<float>(totals.loss), static_cast<float>(totals.tokens)};
  const at::Tensor tail =
      at::from_blob(packed.data(), {static_cast<std::int64_t>(packed.size())}, at::kFloat);
  std::vector<at::Tensor> parts = flat_gradients(parameters);
  parts.push_back(tail);
  std::int64_t count = 0;
  for (const at::Tensor& part : parts) count += part.numel();
  const auto options = at::TensorOptions().dtype(at::kFloat).device(parts.front().device());
  const std::int64_t capacity = std::min(count, kBucketElements);
  if (!flat_.defined() || flat_.numel() != capacity || flat_.device() != options.device())
    flat_ = at::empty({capacity}, options);
  std::vector<Piece> bucket;
  std::int64_t filled = 0;
  const auto flush = [&] {
    data_.all_reduce(buffer_of(flat_.narrow(0, 0, filled)), ReduceOp::kSum, Traffic::kGradient);
    data_.settle();  // the totals are read by the host
    for (const Piece& piece : bucket) piece.values.copy_(flat_.narrow(0, piece.at, piece.values.numel()));
    bucket.clear();
    filled = 0;
  };
  for (const at::Tensor& part : parts)
    for (std::int64_t begin = 0; begin < part.numel();) {
      const std::int64_t size = std::min(part.numel() - begin, capacity - filled);
      bucket.push_back({part.narrow(0, begin, size), filled});
      flat_.narrow(0, filled, size).copy_(bucket.back().values);
      begin += size;
      filled += size;
      if (filled == capacity) flush();
    }
  if (filled > 0) flush();
  totals.loss = static_cast<double>(packed[0]);
  totals.tokens = static_cast<std::int64_t>(packed[1]);
}

}  // namespace trimtab
