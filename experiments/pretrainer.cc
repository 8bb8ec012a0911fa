// SPDX-License-Identifier: Apache-2.0
#include "experiments/pretrainer.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "data/batcher.h"
#include "data/text_file.h"
#include "experiments/base_hash.h"
#include "experiments/core_share.h"
#include "experiments/machine.h"
#include "experiments/run_record.h"
#include "experiments/same_run.h"
#include "experiments/stage_weights.h"
#include "experiments/to_micro_batch.h"
#include "experiments/vocabulary_file.h"
#include "models/t5/t5_files.h"
#include "models/t5/t5_init.h"
#include "models/t5/t5_stage.h"
#include "parallel/learning_rate.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

constexpr const char* kMethod = "pretraining";

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

DType dtype_named(const std::string& name) { return name == "bfloat16" ? DType::kBFloat16 : DType::kFloat32; }

// Rows of the table: T5 pads its vocabulary to a multiple of 128, which many ranks can share evenly.
std::int64_t table_rows(const Tokenizer& tokenizer) { return (tokenizer.size() + 127) / 128 * 128; }

T5Config shape_of(const PretrainModel& model, const Tokenizer& tokenizer) {
  T5Config shape;
  shape.vocab = table_rows(tokenizer);
  shape.d_model = model.d_model;
  shape.d_kv = model.d_kv;
  shape.d_ff = model.d_ff;
  shape.heads = model.heads;
  shape.encoder_layers = model.encoder_layers;
  shape.decoder_layers = model.decoder_layers;
  shape.gated_gelu = model.gated_gelu;
  shape.tied_head = model.tied_head;
  shape.scale_decoder_output = model.tied_head;
  shape.pad_id = tokenizer.pad().value();
  shape.eos_id = tokenizer.eos();
  check(shape);
  return shape;
}

PretrainingOptions data_options(const PretrainConfig& config) {
  PretrainingOptions out;
  out.objective = config.data.objective;
  out.corpora = config.data.corpora;
  for (CorpusOptions& corpus : out.corpora)
    if (corpus.cache.empty()) corpus.cache = config.data.cache;
  out.input_length = static_cast<int>(config.data.input_length);
  out.max_target = static_cast<int>(config.data.max_target);
  out.noise_density = config.data.noise_density;
  out.mean_span = config.data.mean_span;
  out.validation_percent = static_cast<int>(config.data.validation_percent);
  out.batch = static_cast<std::uint64_t>(config.train.batch);
  out.seed = static_cast<std::uint64_t>(config.train.seed);
  return out;
}

CheckpointInfo checkpoint_info(const PretrainConfig& config, const Tokenizer& tokenizer) {
  CheckpointInfo info;
  info.method = kMethod;
  info.weights = config.model.weights.empty() ? "random weights" : config.model.weights;
  info.vocabulary_hash = tokenizer.hash();
  return info;
}

}  // namespace

Pretrainer::Pretrainer(PretrainConfig config, World& world, Console& console)
    : config_(std::move(config)), console_(console), folder_(config_.output) {
  check(optimizer_config());
  // Weights and optimizer state in float32, twice while the new file is written beside the old one, and the
  // exports.
  check_writable_folder(config_.output, 1 << 20);
  const int task = config_.core_hints.of_task, cores = usable_cores();
  prepare_threads(
      choose_threads(config_.model.threads, config_.core_hints, task > 0 ? std::min(task, cores) : cores)
          .threads);
  load_model(world);
  const std::int64_t every = config_.export_to.every;
  const std::int64_t on_the_way = every > 0 ? (config_.train.steps - 1) / every : 0;
  check_writable_folder(config_.output,
                        static_cast<std::uint64_t>(stage_->parameter_count() * (4 + on_the_way)) * 4);
  if (!config_.data.cache.empty()) check_writable_folder(config_.data.cache, 1 << 20);
  data_ = std::make_unique<PretrainingData>(*tokenizer_, data_options(config_));
  parameters_ = stage_->trainable_base();
  optimizer_ = make_optimizer(optimizer_config());
  runner_ = std::make_unique<ModelRunner>(*stage_, world, "1f1b", true);
  const PretrainTrain& train = config_.train;
  train_step_ = std::make_unique<TrainStep>(
      *runner_, parameters_,
      TrainStepOptions{train.dropout, train.z_loss, static_cast<std::uint64_t>(train.seed)});
  resume();
}

Pretrainer::~Pretrainer() = default;

void Pretrainer::load_model(World& world) {
  const PretrainModel& model = config_.model;
  std::unique_ptr<TensorSource> weights;
  if (model.weights.empty()) {
    if (model.vocabulary.empty())
      fail_config(
          "model.vocabulary: a model from random weights needs a SentencePiece model (`trimtab vocabulary` "
          "makes one)");
    tokenizer_ = std::make_unique<T5Tokenizer>(model.vocabulary);
    shape_ = shape_of(model, *tokenizer_);
    weights = std::make_unique<T5RandomWeights>(shape_, static_cast<std::uint64_t>(config_.train.seed));
  } else {
    T5Files files = open_t5(model.weights);
    tokenizer_ = std::make_unique<T5Tokenizer>(vocabulary_file(
        model.vocabulary, {files.tokenizer_path, files.tokenizer_model}, model.weights, config_.output));
    shape_ = files.config;
    weights = std::move(files.weights);
  }
  tokenizer_->check_fits(shape_.vocab);
  check_memory();
  weights->verify();
  stage_ = make_t5_stage(shape_, *weights, world, {whole_model(shape_), dtype_named(model.compute)});
  info_ = checkpoint_info(config_, *tokenizer_);
  info_.base_hash = base_hash(*stage_);
  info_.config = dump_config(config_);
  record_.name = config_.name;
  record_.method = kMethod;
  record_.task = config_.data.objective;
  record_.weights = info_.weights;
  record_.base_hash_before = info_.base_hash;
  record_.base_parameters = record_.trained_parameters = stage_->parameter_count();
  record_.threads = at::get_num_threads();
}

void Pretrainer::resume() {
  if (!std::filesystem::exists(folder_.last())) return;
  const Checkpoint checkpoint(folder_.last());
  checkpoint.check_method(kMethod);
  checkpoint.check_vocabulary(tokenizer_->hash(), tokenizer_->path());
  checkpoint.check_base(info_.base_hash, info_.weights);
  check_same_run(checkpoint.info().config, info_.config, folder_.last());
  checkpoint.load_values(parameters_);
  optimizer_->load_state(parameters_, checkpoint.state());
  const std::string config = info_.config;
  info_ = checkpoint.info();
  info_.config = config;
  if (const auto record = load_record(folder_.record())) record_.seconds = record->seconds;
}

// Weights and their gradients; the optimizer's state and activations come on top.
void Pretrainer::check_memory() const {
  constexpr std::uint64_t kBytes = 2 * 4;
  const auto needed = static_cast<std::uint64_t>(parameter_count(shape_)) * kBytes;
  if (const std::uint64_t available = available_memory(); available > 0 && needed > available)
    fail_config(
        "model: {} parameters need at least {} of memory with their gradients, {} are available; lower "
        "model.d_model, d_ff "
        "or the number of layers",
        parameter_count(shape_), readable_bytes(needed), readable_bytes(available));
}

bool Pretrainer::run(const std::function<bool()>& should_stop) {
  write_file_atomically(folder_.config(), info_.config);
  report_ = std::make_unique<RunReport>(folder_, console_, "pretrain", info_.step, config_.train.steps);
  try {
    return make_steps(should_stop);
  } catch (const Error&) {
    fail_run();
    throw;
  }
}

// What went wrong first is what is said, also where the record cannot be written for the same reason.
void Pretrainer::fail_run() {
  record_.status = "failed";
  try {
    save_record(record_, folder_.record());
  } catch (const Error& error) {
    report_->say(fmt::format("the record is as it was: {}", error.what()));
  }
}

bool Pretrainer::make_steps(const std::function<bool()>& should_stop) {
  const PretrainTrain& train = config_.train;
  const auto start = std::chrono::steady_clock::now();
  const double seconds_before = record_.seconds;
  report_->say(fmt::format("{}: {} parameters, {} tokens of text, {} threads, step {} of {}", config_.name,
                           stage_->parameter_count(), data_->tokens(), at::get_num_threads(), info_.step,
                           train.steps));
  if (config_.model.compute == "bfloat16" && !has_bfloat16())
    report_->say(std::string("warning: ") + kEmulatedBFloat16);
  bool stopped = false;
  while (info_.step < train.steps && !stopped) {
    const std::int64_t n = info_.step;
    make_step(n);
    info_.step = n + 1;
    record_.seconds = seconds_before + seconds_since(start);
    const bool last = info_.step == train.steps;
    if (last || (train.validate_every > 0 && info_.step % train.validate_every == 0)) validate(n);
    stopped = !last && should_stop && should_stop();
    // Before the state that says the step is done: who is killed between the two exports again.
    const std::int64_t every = config_.export_to.every;
    if (!last && every > 0 && info_.step % every == 0) export_model(fmt::format("-{}", info_.step));
    if (last || stopped || info_.step % train.checkpoint_every == 0) save();
  }
  report_->finish();
  if (!stopped) export_model("");
  record_.status = stopped ? "interrupted" : "finished";
  save_record(record_, folder_.record());
  if (stopped) {
    report_->say(fmt::format("stopped after step {}; the same command goes on from there", info_.step));
  }
  return !stopped;
}

void Pretrainer::make_step(std::int64_t n) {
  const PretrainTrain& train = config_.train;
  const auto start = std::chrono::steady_clock::now();
  const Batch batch = data_->batch(PretrainingSplit::kTrain, static_cast<std::uint64_t>(n));
  const auto pieces = to_micro_batches(micro_batches(batch, train.micro_batch_tokens), stage_->pad_id());
  const StepTotals totals =
      train_step_->run(n, pieces, [](std::uint64_t sample) { return fmt::format("row {}", sample); });
  const double rate = learning_rate_at(optimizer_config(), n, train.steps);
  optimizer_->step(parameters_, rate);
  const double loss = totals.loss / static_cast<double>(totals.tokens);
  if (n % train.log_every == 0 || n + 1 == train.steps)
    report_->metrics(n + 1, "train",
                     {{"loss", loss},
                      {"target_tokens", totals.tokens},
                      {"tokens", totals.tokens + static_cast<std::int64_t>(batch.input_ids.size())},
                      {"gradient_norm", totals.gradient_norm},
                      {"learning_rate", rate},
                      {"seconds", seconds_since(start)}});
  report_->progress(n + 1, loss);
}

void Pretrainer::validate(std::int64_t n) {
  if (config_.data.validation_percent == 0) return;
  std::vector<MicroBatch> pieces;
  for (std::int64_t i = 0; i < config_.train.validation_batches; ++i) {
    const Batch batch = data_->batch(PretrainingSplit::kValidation, static_cast<std::uint64_t>(i));
    for (const Batch& piece : micro_batches(batch, config_.train.micro_batch_tokens))
      pieces.push_back(to_micro_batch(piece, stage_->pad_id()));
  }
  const double loss = train_step_->score(pieces);
  if (info_.best_step < 0 || loss < info_.best_score) {
    info_.best_score = loss;
    info_.best_step = n + 1;
  }
  report_->metrics(n + 1, "validation", {{"loss", loss}});
  report_->say(fmt::format("step {}: held-out loss {:.4f} a token (best {:.4f} at step {})", n + 1, loss,
                           info_.best_score, info_.best_step));
}

void Pretrainer::save() {
  const OptimizerState state = optimizer_->state(parameters_);
  save_checkpoint(folder_.last(), info_, parameters_, &state);
  record_.steps = info_.step;
  record_.best_step = info_.best_step;
  record_.best_score = info_.best_score;
  record_.peak_memory = peak_memory();
  save_record(record_, folder_.record());
}

void Pretrainer::export_model(const std::string& suffix) {
  std::filesystem::path path(config_.export_to.path.empty() ? config_.output + "/model.h5"
                                                            : config_.export_to.path);
  path.replace_filename(path.stem().string() + suffix + path.extension().string());
  const StageWeights weights(*stage_);
  save_t5(shape_, weights, read_bytes(tokenizer_->path()), path.string(),
          dtype_named(config_.export_to.dtype));
  report_->say(fmt::format("{}: {} parameters in {}, vocabulary inside, after {} steps ({})", path.string(),
                           stage_->parameter_count(), config_.export_to.dtype, info_.step,
                           readable_duration(record_.seconds)));
}

}  // namespace trimtab
