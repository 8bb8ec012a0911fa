// SPDX-License-Identifier: Apache-2.0
//
// Forward and backward of each operation beside its composite, at the sizes of T5-base: 1,440 tokens in 8
// rows. Compare within one run: `fused` and `composite` of the same name.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "models/ops/cross_attention.h"
#include "models/ops/dropout.h"
#include "models/ops/feed_forward.h"
#include "models/ops/flush_denormals.h"
#include "models/ops/rms_norm.h"
#include "models/ops/self_attention.h"

namespace {

using trimtab::RowLayout;
using Inputs = std::vector<at::Tensor>;
using Op = std::function<at::Tensor(const Inputs&)>;

constexpr std::int64_t kWidth = 768;
constexpr std::int64_t kInner = 2048;
constexpr std::int64_t kHeads = 12;
const std::vector<std::uint64_t> kSamples = {1, 2, 3, 4, 5, 6, 7, 8};

RowLayout encoder() { return RowLayout({150, 160, 170, 180, 180, 190, 200, 210}); }
RowLayout decoder() { return RowLayout(std::vector<std::int64_t>(8, 4)); }

at::Tensor leaf(at::IntArrayRef sizes, double deviation = 1.0) {
  return (at::randn(sizes) * deviation).requires_grad_();
}

// `work` is what forward and backward have to move (bytes) or compute (operations), by hand count.
void measure(benchmark::State& state, const char* unit, double work, const Op& op, const Inputs& inputs) {
  trimtab::flush_denormals();
  const at::Tensor direction = at::randn_like(op(inputs));
  for (auto _ : state) {
    const at::Tensor out = op(inputs);
    benchmark::DoNotOptimize(torch::autograd::grad({out}, inputs, {direction}));
  }
  state.counters[unit] =
      benchmark::Counter(work, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

void rms_norm(benchmark::State& state) {
  const at::Tensor weight = at::randn({kWidth});
  const auto fused = [&](const Inputs& in) { return trimtab::rms_norm(in[0], weight, 1e-6); };
  const auto plain = [&](const Inputs& in) {
    return trimtab::detail::rms_norm_reference(in[0], weight, 1e-6);
  };
  const double bytes = 4.0 * 5.0 * static_cast<double>(encoder().tokens() * kWidth);
  measure(state, "bytes/s", bytes, state.range(0) ? Op(fused) : Op(plain),
          {leaf({encoder().tokens(), kWidth})});
}

void add_dropout(benchmark::State& state) {
  const RowLayout layout = encoder();
  const at::Tensor mask = trimtab::dropout_mask(kSamples, kWidth, 0.1, 1, 1, 1);
  const auto fused = [&](const Inputs& in) { return trimtab::add_dropout(in[0], in[1], mask, layout); };
  const auto plain = [&](const Inputs& in) {
    return trimtab::detail::add_dropout_reference(in[0], in[1], mask, layout);
  };
  const double bytes = 4.0 * 5.0 * static_cast<double>(layout.tokens() * kWidth);
  measure(state, "bytes/s", bytes, state.range(0) ? Op(fused) : Op(plain),
          {leaf({layout.tokens(), kWidth}), leaf({layout.tokens(), kWidth})});
}

void gated_gelu(benchmark::State& state) {
  const RowLayout layout = encoder();
  const at::Tensor mask = trimtab::dropout_mask(kSamples, kInner, 0.1, 1, 1, 1);
  const auto fused = [&](const Inputs& in) { return trimtab::gated_gelu(in[0], mask, layout); };
  const auto plain = [&](const Inputs& in) {
    return trimtab::detail::gated_gelu_reference(in[0], mask, layout);
  };
  const double bytes = 4.0 * 8.0 * static_cast<double>(layout.tokens() * kInner);
  measure(state, "bytes/s", bytes, state.range(0) ? Op(fused) : Op(plain),
          {leaf({layout.tokens(), 2 * kInner})});
}

void self_attention(benchmark::State& state) {
  const RowLayout layout = encoder();
  const at::Tensor table = at::randn({32, kHeads});
  const at::Tensor mask = trimtab::dropout_key_mask(kSamples, layout, kHeads, 0.1, 1, 1, 1);
  const auto fused = [&](const Inputs& in) {
    return trimtab::self_attention(in[0], table, {}, layout, kHeads, mask);
  };
  const auto plain = [&](const Inputs& in) {
    return trimtab::detail::self_attention_reference(in[0], table, {}, layout, kHeads, mask);
  };
  double pairs = 0.0;
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    pairs += static_cast<double>(layout.length(row) * layout.length(row));
  measure(state, "FLOP/s", 14.0 * pairs * kWidth, state.range(0) ? Op(fused) : Op(plain),
          {leaf({layout.tokens(), 3 * kWidth}, 0.3)});
}

void cross_attention(benchmark::State& state) {
  const at::Tensor wk = at::randn({kWidth, kWidth}) * 0.03;
  const at::Tensor wv = at::randn({kWidth, kWidth}) * 0.03;
  const at::Tensor mask = trimtab::dropout_key_mask(kSamples, encoder(), kHeads, 0.1, 1, 1, 1);
  const Inputs inputs = {leaf({decoder().tokens(), kWidth}), leaf({encoder().tokens(), kWidth})};
  const auto call = [&](auto path) {
    return Op(
        [=](const Inputs& in) { return path(in[0], in[1], wk, wv, decoder(), encoder(), kHeads, mask); });
  };
  const Op paths[] = {call(trimtab::detail::cross_attention_reference),
                      call(trimtab::detail::cross_attention_projected),
                      call(trimtab::detail::cross_attention_absorbed)};
  measure(state, "tokens/s", static_cast<double>(encoder().tokens()), paths[state.range(0)], inputs);
}

void dropout_masks(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(trimtab::dropout_mask(kSamples, kInner, 0.1, 1, 1, 1));
  state.counters["numbers/s"] =
      benchmark::Counter(8.0 * kInner, benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(rms_norm)->ArgName("fused")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(add_dropout)->ArgName("fused")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(gated_gelu)->ArgName("fused")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(self_attention)->ArgName("fused")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(cross_attention)
    ->ArgName("composite_projected_absorbed")
    ->DenseRange(0, 2)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(dropout_masks)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
