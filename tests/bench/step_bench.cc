// SPDX-License-Identifier: Apache-2.0
//
// The program trimtab_step_bench: times training steps on the weights and batches that peft_baseline.py
// exported, and prints one JSON line with the names that peft_baseline.py uses. A step is what the trainer
// does: forward and backward of each micro-batch, the reduction, and the optimizer.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <c10/core/GradMode.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/exported_case.h"
#include "bench/op_profile.h"
#include "bench/process_stats.h"
#include "data/batcher.h"
#include "experiments/machine.h"
#include "experiments/to_micro_batch.h"
#include "experiments/train_step.h"
#include "models/family.h"
#include "models/formats/safetensors.h"
#include "models/methods/tuning_method.h"
#include "models/t5/t5_stage.h"
#include "parallel/gradient_sync.h"
#include "parallel/optimizer.h"
#include "runtime/check.h"
#include "runtime/world.h"

namespace trimtab::bench {
namespace {

struct Options {
  std::string folder;
  std::string method = "prompt";
  std::size_t micro_rows = 0;
  std::int64_t micro_tokens = 0;
  std::size_t begin = 0, steps = 0;  // 0: to the last
  int warmup = 1;
  double dropout = 0.1;
  double learning_rate = 0.3;
  std::uint64_t seed = 0;
  int threads = 2;
  bool profile = false;
};

class FixedLengthPrompt : public InputAdapter {
 public:
  explicit FixedLengthPrompt(at::Tensor rows) : rows_(std::move(rows)) { rows_.set_requires_grad(true); }
  std::int64_t positions(std::int32_t) const override { return rows_.size(0); }
  at::Tensor rows(std::int32_t) const override { return rows_; }

 private:
  at::Tensor rows_;
};

// Adafactor as `transformers` has it, so that both programs train the same: every matrix is factored, and
// weight decay is multiplied by the learning rate.
OptimizerConfig like_transformers(double learning_rate) {
  OptimizerConfig config;
  config.min_dim_size_to_factor = 1;
  config.weight_decay *= learning_rate;
  return config;
}

// What peft_baseline.py attaches under these names. PEFT's prefix reaches the decoder's own attention only.
const std::map<std::string, std::string>& methods() {
  static const std::map<std::string, std::string> all = {
      {"lora", "{name: lora, rank: 8, alpha: 16}"},
      {"ia3", "{name: ia3}"},
      {"p_tuning", "{name: p_tuning, length: 100}"},
      {"prefix", "{name: prefix_tuning, length: 20, encoder: false, cross: false, init_std: 0}"}};
  return all;
}

// Numbers that both programs find by themselves, so that losses agree: by the place in a tensor, as large as
// a linear map wants them. A prefix stays zero: PEFT keeps all of it in one matrix.
void begin_alike(const Parameters& parameters, const std::string& method) {
  if (method == "prefix") return;
  const c10::NoGradGuard no_grad;
  for (const Parameter& parameter : parameters) {
    const at::Tensor value = parameter.value();
    const double scale = value.dim() == 2 ? 1.0 / std::sqrt(static_cast<double>(value.size(1))) : 0.1;
    const at::Tensor wave = at::arange(value.numel(), at::kDouble).mul(0.7).cos().mul(scale);
    value.copy_((method == "ia3" ? wave.add(1.0) : wave).view(value.sizes()));
  }
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        world_(solo_world()),
        batches_(read_batches(options.folder + "/batches.json")),
        optimizer_(make_optimizer(like_transformers(options.learning_rate))) {
    load();
    runner_.emplace(*stage_, world_, "1f1b", true);
    trainer_.emplace(*runner_, parameters_,
                     TrainStepOptions{.dropout = options.dropout, .z_loss = 0, .seed = options.seed});
    forget_peak();
    loaded_mib_ = status_mib("VmRSS:");
  }

  nlohmann::json run();

 private:
  using Json = nlohmann::json;

  void load();
  std::vector<MicroBatch> cut(const Batch& batch) const;
  Json timed(const Batch& batch);
  std::string profiled(const Batch& batch);
  double real_gflop(const Batch& batch) const;
  StepTotals step(const std::vector<MicroBatch>& micro_batches);
  Json summary(const std::vector<double>& losses, const std::vector<Json>& steps) const;
  bool full() const { return options_.method == "full"; }
  std::int64_t extra() const {
    return prompt_ ? prompt_->positions(0) : method_ ? method_->extra_positions() : 0;
  }
  void attach(const std::string& options);

  Options options_;
  World world_;
  std::vector<Batch> batches_;
  T5Config config_;                   // of an exported T5,
  std::unique_ptr<BaseModel> model_;  // or a model of any family in a folder with its config
  std::unique_ptr<ModelStage> stage_;
  std::optional<FixedLengthPrompt> prompt_;
  std::unique_ptr<TuningMethod> method_;
  Parameters parameters_;
  std::optional<ModelRunner> runner_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<TrainStep> trainer_;
  std::int64_t step_ = 0;
  double loaded_mib_ = 0;
};

// The files are closed when this returns: pages of theirs would count as held memory.
void Bench::load() {
  if (std::filesystem::exists(options_.folder + "/config.json")) {
    const auto layers = static_cast<int>(open_model(options_.folder)->cost_units({}).size());
    stage_ = open_model(options_.folder)->make_stage(world_, {{0, layers}});
    model_ = open_model(options_.folder);  // anew: pages that were read count as held memory
  } else {
    const Safetensors weights(options_.folder + "/model.safetensors");
    config_ = config_of(weights);
    stage_ = make_t5_stage(config_, weights, world_, {whole_model(config_), DType::kFloat32});
  }
  if (full()) {
    parameters_ = stage_->trainable_base();
    return;
  }
  if (const auto found = methods().find(options_.method); found != methods().end()) {
    attach(found->second);
    return;
  }
  prompt_.emplace(read_prompt(options_.folder + "/prompt.safetensors", stage_->width()));
  stage_->attach_input(&*prompt_);
  parameters_ = {{"prompt", prompt_->rows(0)}};
}

void Bench::attach(const std::string& options) {
  Subtree subtree = Subtree::parse(options, "method");
  method_ = make_method(subtree);
  parameters_ = method_->attach(*stage_, MethodContext());
  begin_alike(parameters_, options_.method);
}

std::vector<MicroBatch> Bench::cut(const Batch& batch) const {
  return to_micro_batches(options_.micro_tokens > 0 ? micro_batches(batch, options_.micro_tokens, extra())
                                                    : cut_by_rows(batch, options_.micro_rows),
                          stage_->pad_id());
}

StepTotals Bench::step(const std::vector<MicroBatch>& micro_batches) {
  StepTotals totals;
  {
    RECORD_USER_SCOPE("trimtab's fused kernels, autograd, all else");
    totals =
        trainer_->run(step_++, micro_batches, [](std::uint64_t sample) { return std::to_string(sample); });
  }
  RECORD_USER_SCOPE("trimtab optimizer");
  // `transformers` averages over target tokens, the trainer does not. A constant factor would be nothing to
  // Adafactor, but the number of tokens changes from step to step.
  for (const Parameter& parameter : parameters_)
    parameter.grad().mul_(1.0 / static_cast<double>(totals.tokens));
  optimizer_->step(parameters_, options_.learning_rate);
  clear_gradients(parameters_);
  return totals;
}

nlohmann::json Bench::timed(const Batch& batch) {
  const std::vector<MicroBatch> micro_batches = cut(batch);
  const ProcessorSeconds before = processor_seconds();
  const auto begin = std::chrono::steady_clock::now();
  const StepTotals totals = step(micro_batches);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const ProcessorSeconds after = processor_seconds();
  const double user = after.user - before.user, system = after.system - before.system;
  std::int64_t tokens = 0;
  for (const MicroBatch& part : micro_batches) tokens += part.encoder.tokens() + extra() * part.rows();
  return {{"seconds", seconds},
          {"loss", totals.loss / static_cast<double>(totals.tokens)},
          {"user_s", user},
          {"sys_s", system},
          {"other_s", std::max(0.0, after.machine - before.machine - user - system)},
          {"tokens_real", tokens},
          {"micro_batches", micro_batches.size()},
          {"gflop_real", real_gflop(batch)}};
}

// Of real positions only, by the usual formula.
double Bench::real_gflop(const Batch& batch) const {
  if (!model_) return useful_gflop(config_, batch, extra(), full());
  double operations = 0;
  for (std::size_t row = 0; row < batch.rows(); ++row)
    for (const CostUnit& unit : model_->cost_units({static_cast<double>(batch.input_length(row) + extra()),
                                                    static_cast<double>(batch.target_length(row))}))
      operations += unit.cost;
  return operations / 1e9;
}

std::string Bench::profiled(const Batch& batch) {
  const std::vector<MicroBatch> micro_batches = cut(batch);
  OpProfile profile;
  step(micro_batches);
  return profile.table(0.002);
}

nlohmann::json Bench::run() {
  const std::size_t end =
      options_.steps == 0 ? batches_.size() : std::min(batches_.size(), options_.begin + options_.steps);
  if (options_.begin >= end)
    fail_config("--begin {}: {} holds {} batches", options_.begin, options_.folder, batches_.size());
  const std::vector<Batch> measured(batches_.begin() + static_cast<std::ptrdiff_t>(options_.begin),
                                    batches_.begin() + static_cast<std::ptrdiff_t>(end));
  std::vector<double> losses;
  // All batches count for the warm-up, so that processes that measure different ones touch the same memory
  // first.
  for (int i = 0; i < options_.warmup; ++i)
    losses.push_back(timed(batches_[widest(batches_)])["loss"].get<double>());
  std::vector<Json> steps;
  for (const Batch& batch : measured) {
    steps.push_back(timed(batch));
    losses.push_back(steps.back()["loss"].get<double>());
  }
  const Json result = summary(losses, steps);
  if (options_.profile) std::fputs(profiled(measured.back()).c_str(), stderr);
  return result;
}

nlohmann::json Bench::summary(const std::vector<double>& losses, const std::vector<Json>& steps) const {
  std::vector<double> seconds;
  double gflop = 0, sum = 0;
  for (const Json& step : steps) {
    seconds.push_back(step["seconds"].get<double>());
    sum += seconds.back();
    gflop += step["gflop_real"].get<double>();
  }
  std::ranges::sort(seconds);
  const std::size_t half = seconds.size() / 2;
  const double median = seconds.size() % 2 == 1 ? seconds[half] : (seconds[half - 1] + seconds[half]) / 2;
  std::int64_t trained = 0;
  for (const Parameter& parameter : parameters_) trained += parameter.value().numel();
  return {{"program", "trimtab"},
          {"method", options_.method},
          {"batch", batches_.front().rows()},
          {"micro", options_.micro_rows},
          {"micro_tokens", options_.micro_tokens},
          {"dropout", options_.dropout},
          {"threads", at::get_num_threads()},
          {"prompt_length", extra()},
          {"trained_parameters", trained},
          {"median_s", median},
          {"min_s", seconds.front()},
          {"max_s", seconds.back()},
          {"useful_gflops", gflop / sum},
          {"peak_rss_mib", status_mib("VmHWM:")},
          {"loaded_rss_mib", loaded_mib_},
          {"losses", losses},
          {"steps", steps}};
}

void add_options(CLI::App& app, Options& options) {
  app.add_option("folder", options.folder, "What peft_baseline.py --export wrote")
      ->required()
      ->check(CLI::ExistingDirectory);
  std::vector<std::string> names = {"prompt", "full"};
  for (const auto& [name, unused] : methods()) names.push_back(name);
  app.add_option("--method", options.method)->check(CLI::IsMember(names))->capture_default_str();
  const auto rows =
      app.add_option("--micro", options.micro_rows, "Rows of a micro-batch, in order; 0: the whole batch");
  app.add_option("--micro-tokens", options.micro_tokens,
                 "Positions of a micro-batch, sorted by length, as the trainer cuts it")
      ->excludes(rows);
  app.add_option("--begin", options.begin, "First batch to measure");
  app.add_option("--steps", options.steps, "Batches to measure; 0: to the last");
  app.add_option("--warmup", options.warmup, "Steps on the widest batch before")->capture_default_str();
  app.add_option("--dropout", options.dropout)->check(CLI::Range(0.0, 0.99))->capture_default_str();
  app.add_option("--lr", options.learning_rate)->capture_default_str();
  app.add_option("--seed", options.seed, "Of dropout");
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_flag("--profile", options.profile,
               "One more step, and a table of where its time goes on standard error");
}

}  // namespace
}  // namespace trimtab::bench

int main(int argc, char** argv) {
  CLI::App app{"Times trimtab's training steps on exported batches; prints one JSON line"};
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
