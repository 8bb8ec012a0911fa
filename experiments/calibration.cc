// SPDX-License-Identifier: Apache-2.0
#include "experiments/calibration.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "experiments/machine.h"
#include "experiments/model_runner.h"
#include "experiments/train_step.h"
#include "models/t5/t5_cost.h"
#include "models/t5/t5_init.h"
#include "models/t5/t5_stage.h"
#include "runtime/check.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

// A micro-batch of usual size: eight rows of 32 trained positions, 96 tokens and 4 targets.
constexpr std::int64_t kRows = 8, kTrained = 32, kInput = 96, kTarget = 4;
constexpr int kSteps = 3;
// Seconds; so long a step is measured once, without those after it: bfloat16 is slow on some processors.
constexpr double kLongStep = 1.0;
// Wider layers take long, and reach as much; more ranks take memory, and are taken to slow each other no
// more.
constexpr std::int64_t kWidest = 1024;
constexpr int kMostAtOnce = 8;

// One layer of each kind, whatever the family: both families' are attention and a gated network.
T5Config layer_of(const AttentionShape& shape) {
  T5Config config;
  config.vocab = 1024;
  config.d_model = std::min(shape.width, kWidest);
  config.d_kv = shape.head_dim;
  config.heads = std::max<std::int64_t>(1, config.d_model / config.d_kv);
  config.d_ff = config.d_model * 8 / 3;
  config.encoder_layers = 1;
  config.decoder_layers = 1;
  return config;
}

class TrainedPositions : public InputAdapter {
 public:
  explicit TrainedPositions(std::int64_t width)
      : rows_(at::randn({kTrained, width}).set_requires_grad(true)) {}
  std::int64_t positions(std::int32_t) const override { return kTrained; }
  at::Tensor rows(std::int32_t) const override { return rows_; }

 private:
  at::Tensor rows_;
};

MicroBatch some_rows(const T5Config& config) {
  constexpr auto kCount = static_cast<std::size_t>(kRows);
  MicroBatch batch;
  batch.encoder = RowLayout(std::vector<std::int64_t>(kCount, kInput));
  batch.decoder = RowLayout(std::vector<std::int64_t>(kCount, kTarget));
  batch.encoder_ids = at::randint(3, config.vocab, {kRows * kInput}, at::kLong);
  batch.decoder_ids = at::randint(3, config.vocab, {kRows * kTarget}, at::kLong);
  batch.targets = at::randint(3, config.vocab, {kRows * kTarget}, at::kLong);
  batch.lanes.assign(kCount, 0);
  for (std::size_t row = 0; row < kCount; ++row) batch.samples.push_back(row);
  return batch;
}

// What one rank trains.
class Layers {
 public:
  Layers(const T5Config& config, DType compute)
      : world_(solo_world()),
        positions_(config.d_model),
        stage_(stage_of(config, compute)),
        runner_(*stage_, world_, "1f1b", true),
        parameters_{{"positions", positions_.rows(0)}},
        step_(runner_, parameters_, {.dropout = config.dropout, .z_loss = 1e-4, .seed = 1}),
        rows_{some_rows(config)} {}

  // The median of some steps on `threads` threads.
  double seconds(int threads) {
    at::set_num_threads(threads);
    const double first = one_step(0);  // makes what the others use again
    if (first > kLongStep) return first;
    std::array<double, kSteps> all = {};
    for (int i = 0; i < kSteps; ++i) all.at(static_cast<std::size_t>(i)) = one_step(i + 1);
    std::ranges::nth_element(all, all.begin() + kSteps / 2);
    return all[kSteps / 2];
  }

 private:
  double one_step(std::int64_t number) {
    const auto begin = std::chrono::steady_clock::now();
    step_.run(number, rows_, [](std::uint64_t sample) { return std::to_string(sample); });
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  std::unique_ptr<ModelStage> stage_of(const T5Config& config, DType compute) {
    auto stage =
        make_t5_stage(config, T5RandomWeights(config, 1), world_, {whole_model(config), compute, at::kCPU});
    stage->attach_input(&positions_);
    return stage;
  }

  World world_;
  TrainedPositions positions_;
  std::unique_ptr<ModelStage> stage_;
  ModelRunner runner_;
  Parameters parameters_;
  TrainStep step_;
  std::vector<MicroBatch> rows_;
};

double operations_of(const T5Config& config) {
  double sum = 0.0;
  const RowLengths lengths{static_cast<double>(kTrained + kInput), static_cast<double>(kTarget)};
  for (const CostUnit& unit : t5_cost_units(config, lengths)) sum += unit.cost;
  return sum * static_cast<double>(kRows);
}

}  // namespace

double trained_operations(const AttentionShape& shape, DType compute, int ranks, int threads) {
  TT_CHECK(ranks > 0 && threads > 0, "{} ranks of {} threads", ranks, threads);
  const T5Config config = layer_of(shape);
  const int together = std::min(ranks, usable_cores()), at_once = std::min(together, kMostAtOnce);
  std::vector<std::unique_ptr<Layers>> layers;
  for (int i = 0; i < at_once; ++i) layers.push_back(std::make_unique<Layers>(config, compute));
  std::vector<std::future<double>> measured;
  for (const auto& own : layers)
    measured.push_back(std::async(std::launch::async, [&own, threads] { return own->seconds(threads); }));
  double slowest = 0.0;
  for (auto& seconds : measured) slowest = std::max(slowest, seconds.get());
  // More ranks than cores take turns.
  return operations_of(config) / slowest * together / ranks;
}

}  // namespace trimtab
