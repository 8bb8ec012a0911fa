// SPDX-License-Identifier: Apache-2.0
//
// The program trimtab_throughput_bench: trains a prompt on a T5 1.1 of random weights, on a GPU or the host,
// and prints one JSON line: tokens a second, and the share of the matrix product's speed, measured on the
// same device, at the 4 N operations a token that a frozen model of N parameters takes. A step is what the
// trainer does: forward, backward, reduction and optimizer.
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/process_stats.h"
#include "bench/throughput_device.h"
#include "experiments/machine.h"
#include "experiments/memory_plan.h"
#include "experiments/train_step.h"
#include "models/shapes_only.h"
#include "models/t5/t5_stage.h"
#include "parallel/optimizer.h"
#include "parallel/tensor.h"
#include "runtime/check.h"
#include "runtime/random.h"
#include "runtime/world.h"

namespace trimtab::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string size = "small", device = "cpu", compute = "float32", attention = "default";
  std::int64_t prompt = 100, input = 512, target = 8, rows = 8;
  int micro_batches = 1, steps = 5, warmup = 2, threads = 2;
  double dropout = 0.1;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Normal numbers scaled as by fan-in, the same block over and over: 11 billion of them are there in seconds.
class RepeatedWeights : public TensorSource {
 public:
  explicit RepeatedWeights(const T5Config& config) : shapes_(t5_weights(config), "random weights") {
    std::vector<float> block(kBlock);
    fill_normal(RandomStream(1, Purpose::kTest), 0, block.size(), block.data());
    normal_ = at::tensor(block);
  }
  const std::string& path() const override { return shapes_.path(); }
  std::vector<std::string> names() const override { return shapes_.names(); }
  bool has(const std::string& name) const override { return shapes_.has(name); }
  TensorInfo info(const std::string& name) const override { return shapes_.info(name); }
  void read(const std::string& name, const Slab& slab, DType type, void* out) const override {
    const Shape shape = info(name).shape;
    std::int64_t count = 1;
    for (const std::int64_t n : slab.count.empty() ? shape : slab.count) count *= n;
    const bool is_norm = shape.size() == 1;
    const double deviation = is_norm ? 0.0 : 1.0 / std::sqrt(static_cast<double>(shape.back()));
    const at::Tensor block = (is_norm ? at::ones({kBlock}) : normal_ * deviation).to(scalar_type(type));
    auto* to = static_cast<char*>(out);
    for (std::int64_t done = 0; done < count; done += kBlock) {
      const auto bytes = static_cast<std::size_t>(std::min(kBlock, count - done)) * size_of(type);
      std::memcpy(to, block.const_data_ptr(), bytes);
      to += bytes;
    }
  }

 private:
  static constexpr std::int64_t kBlock = 1'000'003;  // prime: rows differ
  ShapesOnly shapes_;
  at::Tensor normal_;
};

class Prompt : public InputAdapter {
 public:
  Prompt(std::int64_t length, std::int64_t width, at::Device device)
      : rows_((at::randn({length, width}) * 0.5).to(device).set_requires_grad(true)) {}
  std::int64_t positions(std::int32_t) const override { return rows_.size(0); }
  at::Tensor rows(std::int32_t) const override { return rows_; }

 private:
  at::Tensor rows_;
};

// What is queued is done when a number has come back.
void wait_for(const at::Tensor& x) { x.flatten().narrow(0, 0, 1).cpu(); }

// Operations a second of a product, the median of some.
double product_speed(std::int64_t m, std::int64_t n, std::int64_t k, const at::TensorOptions& options) {
  const at::Tensor a = at::randn({m, k}, options), b = at::randn({k, n}, options);
  const int repeats = options.device().is_cpu() ? 1 : 20;
  std::vector<double> speeds;
  wait_for(at::matmul(a, b));
  for (int i = 0; i < 5; ++i) {
    const auto begin = Clock::now();
    at::Tensor c;
    for (int j = 0; j < repeats; ++j) c = at::matmul(a, b);
    wait_for(c);
    speeds.push_back(repeats * 2.0 * static_cast<double>(m * n) * static_cast<double>(k) /
                     seconds_since(begin));
  }
  std::ranges::sort(speeds);
  return speeds[speeds.size() / 2];
}

// The best of the shapes that such models have.
double product_peak(const T5Config& config, std::int64_t tokens, const at::TensorOptions& options) {
  double best = 0;
  for (const std::int64_t n : {config.inner(), config.d_ff, 2 * config.d_ff})
    best = std::max(best, product_speed(tokens, n, config.d_model, options));
  return best;
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options), config_(t5_preset(options.size)), world_(solo_world()), device_(take_device()) {
    stage_ =
        make_t5_stage(config_, RepeatedWeights(config_), world_, {whole_model(config_), compute(), device_});
    prompt_.emplace(options_.prompt, config_.d_model, device_);
    stage_->attach_input(&*prompt_);
    parameters_ = {{"prompt", prompt_->rows(0)}};
    runner_.emplace(*stage_, world_, "1f1b", true);
    trainer_.emplace(*runner_, parameters_,
                     TrainStepOptions{.dropout = options.dropout, .z_loss = 1e-4, .seed = 1});
  }

  nlohmann::json run();

 private:
  at::Device take_device() const;
  DType compute() const { return options_.compute == "bfloat16" ? DType::kBFloat16 : DType::kFloat32; }
  std::vector<MicroBatch> batches() const;
  double step(std::int64_t number, const std::vector<MicroBatch>& batches);
  std::int64_t positions() const { return options_.prompt + options_.input; }
  std::int64_t rows() const { return options_.rows * options_.micro_batches; }
  // 4 N a position, for the parameters of the stack that it passes; the head counts with targets.
  double operations() const;
  double peak_gib() const;
  double planned_gib() const;

  Options options_;
  T5Config config_;
  World world_;
  at::Device device_;
  std::unique_ptr<ModelStage> stage_;
  std::optional<Prompt> prompt_;
  Parameters parameters_;
  std::optional<ModelRunner> runner_;
  std::optional<TrainStep> trainer_;
  std::unique_ptr<Optimizer> optimizer_ = make_optimizer({});
};

at::Device Bench::take_device() const {
  if (options_.device == "cpu") {
    if (options_.attention != "default")
      fail_config("--attention chooses among those of a GPU; add --device cuda");
    return at::kCPU;
  }
  take_gpu(options_.attention);
  return {at::kCUDA, 0};
}

std::vector<MicroBatch> Bench::batches() const {
  std::vector<MicroBatch> all;
  for (int i = 0; i < options_.micro_batches; ++i) {
    const auto rows = static_cast<std::size_t>(options_.rows);
    const auto ids = [&](std::int64_t length) {
      std::vector<std::int64_t> drawn(rows * static_cast<std::size_t>(length));
      const RandomStream stream(3, Purpose::kTest, static_cast<std::uint64_t>(i),
                                static_cast<std::uint64_t>(length));
      for (std::size_t j = 0; j < drawn.size(); ++j)
        drawn[j] =
            3 + static_cast<std::int64_t>(stream.bounded(j, static_cast<std::uint64_t>(config_.vocab - 3)));
      return at::tensor(drawn, at::kLong);
    };
    MicroBatch batch;
    batch.encoder = RowLayout(std::vector<std::int64_t>(rows, options_.input));
    batch.decoder = RowLayout(std::vector<std::int64_t>(rows, options_.target));
    batch.encoder_ids = ids(options_.input);
    batch.decoder_ids = ids(options_.target);
    batch.targets = ids(options_.target);
    batch.lanes.assign(rows, 0);
    for (std::size_t row = 0; row < rows; ++row)
      batch.samples.push_back(static_cast<std::size_t>(i) * rows + row);
    all.push_back(std::move(batch));
  }
  return all;
}

double Bench::step(std::int64_t number, const std::vector<MicroBatch>& batches) {
  const auto begin = Clock::now();
  const StepTotals totals =
      trainer_->run(number, batches, [](std::uint64_t sample) { return std::to_string(sample); });
  for (const Parameter& parameter : parameters_)
    parameter.grad().mul_(1.0 / static_cast<double>(totals.tokens));
  optimizer_->step(parameters_, 0.3);
  clear_gradients(parameters_);
  wait_for(prompt_->rows(0).detach());
  if (!std::isfinite(totals.loss)) fail("step {}: the loss is {}", number, totals.loss);
  return seconds_since(begin);
}

double Bench::operations() const {
  double encoder = 0, decoder = 0;
  for (const WeightShape& weight : t5_weights(config_)) {
    if (weight.shape.size() != 2 || weight.name == "shared.weight") continue;
    const auto numbers = static_cast<double>(weight.shape[0] * weight.shape[1]);
    (weight.name.starts_with("encoder.") ? encoder : decoder) += numbers;
  }
  return 4.0 * static_cast<double>(rows()) *
         (encoder * static_cast<double>(positions()) + decoder * static_cast<double>(options_.target));
}

double Bench::peak_gib() const {
  if (device_.is_cpu()) return status_mib("VmHWM:") / 1024;
  const auto stats = c10::getDeviceAllocator(device_.type())->getDeviceStats(0);
  return static_cast<double>(stats.allocated_bytes[0].peak) / std::exp2(30);
}

// What `trimtab plan` says of such steps; on a GPU with the device's context, which peak_gib() does not see.
double Bench::planned_gib() const {
  ExperimentConfig config;
  config.model.device = options_.device;
  config.model.compute = options_.compute;
  config.train.dropout = options_.dropout;
  Subtree prompt =
      Subtree::parse(fmt::format("{{name: prompt_tuning, length: {}}}", options_.prompt), "method");
  const std::unique_ptr<TuningMethod> method = make_method(prompt);
  Batch batch;
  for (std::int64_t row = 0; row < options_.rows; ++row)
    batch.append(std::vector<TokenId>(static_cast<std::size_t>(options_.input)),
                 std::vector<TokenId>(static_cast<std::size_t>(options_.target)),
                 static_cast<std::uint64_t>(row), static_cast<std::size_t>(row));
  const auto model = model_of_shape(options_.size);
  StageLoad load;
  load.units = {0, static_cast<int>(model->cost_units({}).size())};
  load.steps = {std::vector<Batch>(static_cast<std::size_t>(options_.micro_batches), batch)};
  const RankMemory memory = rank_memory(*model, config, *method, load);
  return static_cast<double>(memory.training()) / std::exp2(30);
}

nlohmann::json Bench::run() {
  const std::vector<MicroBatch> all = batches();
  for (int i = 0; i < options_.warmup; ++i) step(i, all);
  std::vector<double> seconds;
  for (int i = 0; i < options_.steps; ++i) seconds.push_back(step(options_.warmup + i, all));
  std::ranges::sort(seconds);
  const double median = seconds[seconds.size() / 2];
  const double peak = product_peak(config_, options_.rows * positions(),
                                   at::TensorOptions().device(device_).dtype(scalar_type(compute())));
  const double speed = operations() / median;
  const auto tokens = static_cast<double>(rows() * (positions() + options_.target));
  return {{"size", options_.size},
          {"parameters", parameter_count(config_)},
          {"device", options_.device == "cpu" ? "cpu" : gpu_name()},
          {"compute", options_.compute},
          {"attention", options_.attention},
          {"rows", rows()},
          {"micro_batches", options_.micro_batches},
          {"prompt", options_.prompt},
          {"input", options_.input},
          {"target", options_.target},
          {"median_s", median},
          {"min_s", seconds.front()},
          {"max_s", seconds.back()},
          {"tokens_s", tokens / median},
          {"text_tokens_s", static_cast<double>(rows() * (options_.input + options_.target)) / median},
          {"tflops_4n", speed / 1e12},
          {"tflops_product", peak / 1e12},
          {"share_of_product", speed / peak},
          {"peak_gib", peak_gib()},
          {"planned_gib", planned_gib()}};
}

void add_options(CLI::App& app, Options& o) {
  app.add_option("--size", o.size, "small, base, large, xl or xxl")->capture_default_str();
  app.add_option("--device", o.device)->check(CLI::IsMember({"cpu", "cuda"}))->capture_default_str();
  app.add_option("--compute", o.compute)
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  app.add_option("--attention", o.attention, "Of a GPU, as TRIMTAB_ATTENTION names it")
      ->capture_default_str();
  app.add_option("--prompt", o.prompt, "Rows of the prompt")->capture_default_str();
  app.add_option("--input", o.input, "Text tokens of a row")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--target", o.target, "Target tokens of a row")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rows", o.rows, "Of a micro-batch")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--micro-batches", o.micro_batches, "Of a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--steps", o.steps)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--warmup", o.warmup)->capture_default_str();
  app.add_option("--dropout", o.dropout)->check(CLI::Range(0.0, 0.99))->capture_default_str();
  app.add_option("--threads", o.threads)->check(CLI::PositiveNumber)->capture_default_str();
}

}  // namespace
}  // namespace trimtab::bench

int main(int argc, char** argv) {
  CLI::App app{"Tokens a second of prompt tuning on a T5 of random weights; prints one JSON line"};
  trimtab::bench::Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    trimtab::prepare_threads(options.threads);
    std::printf("%s\n", trimtab::bench::Bench(options).run().dump().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
