// SPDX-License-Identifier: Apache-2.0
#include "experiments/experiment.h"

#include <algorithm>
#include <sstream>

#include "data/replica_share.h"
#include "data/tasks/registry.h"
#include "experiments/adapter_exchange.h"
#include "experiments/base_hash.h"
#include "experiments/machine.h"
#include "experiments/memory_plan.h"
#include "experiments/mesh_fit.h"
#include "experiments/probe.h"
#include "experiments/recipe.h"
#include "experiments/same_use.h"
#include "experiments/shared_hash.h"
#include "experiments/to_micro_batch.h"
#include "experiments/vocabulary_file.h"
#include "models/input_rows.h"
#include "parallel/shared_by_stages.h"
#include "parallel/tensor.h"
#include "runtime/agreement.h"
#include "runtime/check.h"
#include "runtime/log.h"

namespace trimtab {
namespace {

// Learning rates that are known to train badly with what is trained; "" if there is nothing to say.
std::string rate_warning(const OptimizerConfig& optimizer, const TuningMethod& method) {
  if (!method.trains()) return "";
  const double rate = optimizer.learning_rate;
  const std::string what = fmt::format("optimizer.learning_rate {} with {}", rate, optimizer.name);
  const double usual = method.suggested_learning_rate();
  if (method.trains_base())
    return rate > 20 * usual
               ? what + " is far too high for training a whole model (0.001 is usual): the loss will blow up"
               : "";
  if (optimizer.name == "adafactor" && rate > 100 * usual)
    return fmt::format("{} is far too high for this method ({} is usual)", what, usual);
  if (rate >= usual / 30) return "";
  return usual >= 0.1 ? what +
                            " is far too low for prompts, which are large numbers (0.3 is usual): they will "
                            "hardly move"
                      : fmt::format("{} is far too low for this method ({} is usual): it will hardly learn",
                                    what, usual);
}

OptimizerSection completed(const OptimizerSection& section, const TuningMethod& method) {
  return section.completed(method.suggested_learning_rate(), method.trains_base());
}

}  // namespace

Experiment::Experiment(ExperimentConfig config, World& world, TrainingData training,
                       const std::function<bool()>& should_stop)
    : config_(std::move(config)), world_(world) {
  build(training, nullptr, should_stop);
}

Experiment::Experiment(ExperimentConfig config, Experiment& beside, const std::function<bool()>& should_stop)
    : config_(std::move(config)), world_(beside.world_) {
  if (!share_model(config_, beside.config_))
    fail_config("{}: cannot be trained together with {}: mesh and model must be the same", config_.name,
                beside.config_.name);
  build(TrainingData::kLoad, &beside, should_stop);
}

Experiment::Experiment(ExperimentConfig config, World& world, std::vector<PromptFile> prompts,
                       const std::function<bool()>& should_stop)
    : config_(std::move(config)), world_(world) {
  check_makes_prompts(config_.method.name(), "method.name");
  prompts_ = std::make_unique<ServedPrompts>(std::move(prompts));
  build(TrainingData::kNone, nullptr, should_stop);
}

void Experiment::build(TrainingData training, const Experiment* beside,
                       const std::function<bool()>& should_stop) {
  check(config_, world_.all().size());
  method_ = make_method(config_.method);
  if (prompts_) method_ = prompts_->method();
  task_ = make_task(config_.task);
  config_.optimizer = completed(config_.optimizer, *method_);
  if (const std::string warning = rate_warning(config_.optimizer.resolved(), *method_); !warning.empty())
    warnings_.push_back(warning);
  const auto stop_here = [&] {
    if (any_of(world_.all(), should_stop && should_stop())) throw Interrupted("stopped at start-up");
  };
  cores_ = share_cores(world_.all(), config_.core_hints.of_task);
  const ThreadChoice chosen = choose_threads(config_.model.threads, config_.core_hints, cores_.cores);
  const int threads = prepare_threads(chosen.threads);
  if (chosen.leaves_cores && world_.rank() == 0)
    TT_LOG(info, "{}", chosen.why);
  else
    TT_LOG(debug, "{}", chosen.why);
  if (const std::string warning = oversubscription_warning(cores_, threads); !warning.empty())
    warnings_.push_back(warning);
  if (config_.model.compute == "bfloat16" && !has_bfloat16()) warnings_.emplace_back(kEmulatedBFloat16);
  open_model();
  if (training == TrainingData::kLoad && method_->trains()) load_training_rows();
  if (training == TrainingData::kLoad) scored_->find(warnings_);
  check_same_settings();
  // So that what is wrong with the rows to score is known before the weights are read.
  if (training == TrainingData::kLoad)
    for (const std::string& name : scored_->names()) evaluator(name);
  if (beside) {
    units_ = beside->units_;
    base_hash_ = beside->base_hash_;
    frozen_ = beside->frozen_;
  } else {
    units_ = stage_units();
    check_memory();
    stop_here();
    check_same_files();
    stop_here();
    make_stage();
  }
  if (const std::string warning = init_file_warning(config_, base_hash_); !warning.empty())
    warnings_.push_back(warning);
  stop_here();
  attach();
  stop_here();
}

bool share_model(const ExperimentConfig& a, const ExperimentConfig& b) {
  return a.mesh == b.mesh && a.model == b.model;
}

ExperimentConfig resolved(ExperimentConfig config) {
  const auto method = make_method(config.method);
  make_task(config.task);
  for (TransferConfig& transfer : config.evaluate.transfer) make_task(transfer.task);
  config.optimizer = completed(config.optimizer, *method);
  return config;
}

Experiment::~Experiment() {
  if (!frozen_ || frozen_->active != method_.get()) return;
  method_->set_enabled(*frozen_->stage, false);
  frozen_->active = nullptr;
}

void Experiment::activate() {
  if (frozen_->active == method_.get()) return;
  if (frozen_->active) frozen_->active->set_enabled(*frozen_->stage, false);
  method_->set_enabled(*frozen_->stage, true);
  frozen_->active = method_.get();
}

void Experiment::open_model() {
  model_ = trimtab::open_model(config_.model.weights, config_.model.family);
  check_mesh_fits(config_.mesh, *model_);
  tokenizer_ = open_vocabulary(config_.model.vocabulary, *model_, config_.output);
  tokenizer_->check_fits(model_->vocabulary());
  if (prompts_) prompts_->check_places(config_.text);
  if (prompts_) prompts_->check_vocabulary(tokenizer_->hash(), tokenizer_->path());
  recipe_ = make_recipe(config_, *model_, *tokenizer_, *method_, *task_);
  places_ = prompt_places(*recipe_, *method_);
  // A label that is cut can never be predicted.
  recipe_->encode_labels(task_->labels());
  if (config_.evaluate.answers == "rank")
    ranking_ = std::make_unique<LabelRanking>(*recipe_, task_->choices());
  scored_ = std::make_unique<ScoredSplits>(config_, *task_, *recipe_);
  check_lengths(config_, *model_, *method_);
  const std::int64_t longest = config_.text.max_input + method_->attention_positions() +
                               method_->decoder_positions() + config_.text.max_target;
  if (config_.evaluate.batch_tokens < longest)
    warnings_.push_back(fmt::format("evaluate.batch_tokens {} is less than one row can have ({})",
                                    config_.evaluate.batch_tokens, longest));
}

double Experiment::dropout() const { return config_.train.dropout.value_or(model_->usual_dropout()); }

void Experiment::load_training_rows() {
  const auto splits = task_->splits();
  if (std::ranges::find(splits, config_.evaluate.split) == splits.end() && config_.train.evaluate_every > 0)
    fail_config(
        "evaluate.split: the task {} has no split '{}' but {}; choose one, or set train.evaluate_every: 0",
        task_->name(), config_.evaluate.split, fmt::join(splits, ", "));
  rows_ = std::make_unique<TrainingRows>(config_, *task_, *recipe_, *method_);
  warnings_.insert(warnings_.end(), rows_->warnings().begin(), rows_->warnings().end());
}

void Experiment::check_memory() {
  if (config_.model.device != "cpu") return;  // the host's memory says nothing of the device's
  StageLoad load;
  load.units = units_;
  load.stage = world_.here().pipe;
  constexpr std::int64_t kSteps = 4;  // whose rows are looked at
  for (std::int64_t step = 0; rows_ && step < kSteps; ++step) load.steps.push_back(share_of_step(step));
  // What is scored beside training is known only when its split is read.
  if (!rows_) load.scored = scored_size(config_, mean_lengths());
  const RankMemory memory = rank_memory(*model_, config_, *method_, load);
  check_fits_memory(memory.peak(), available_memory(), cores_.ranks, config_);
}

// Ranks with different files train something that nobody asked for, or hang.
void Experiment::check_same_settings() {
  Communicator& all = world_.all();
  require_same(all, "the version of trimtab", TRIMTAB_VERSION, "install the same one on every host");
  if (all.size() > 1)
    require_same(all, "the program", program_hash(all), "install the same build of trimtab on every host");
  require_same(all, "the experiment", dump_config(config_),
               "give every rank the same file and --set options");
  require_same(all, "the vocabulary", tokenizer_->hash(), "copy model.vocabulary to every host again");
  require_same(all, "the split 'train'", data_hash(),
               "its rows differ: copy the files of the task to every host again");
}

void Experiment::check_same_files() {
  Communicator& all = world_.all();
  base_hash_ = shared_hash(all, config_.model.weights, [&] { return weights_hash(model_->weights()); });
  require_same(all, "the file of weights", base_hash_, "copy model.weights to every host again");
  if (prompts_) {
    require_same(all, "the list of prompts", prompts_->identity(),
                 "give every rank the same names and files of prompts");
    prompts_->check_base(base_hash_, config_.model.weights);
  }
  std::string inventory;
  for (const std::string& name : model_->weights().names()) {
    const TensorInfo info = model_->weights().info(name);
    inventory += fmt::format(" {}:{}:{}", name, name_of(info.dtype), fmt::join(info.shape, "x"));
  }
  require_same(all, "the list of weights", inventory, "copy model.weights to every host again");
}

// Of the rows that are trained on, where there are any, with what the method puts in front.
RowLengths Experiment::mean_lengths() {
  RowLengths lengths{static_cast<double>(config_.text.max_input),
                     static_cast<double>(config_.text.max_target)};
  if (rows_) lengths = mean_lengths_of(rows_->step(0));
  return with_positions(lengths, *method_);
}

UnitRange Experiment::stage_units() {
  const StagePlan plan =
      balanced_plan(model_->cost_units(mean_lengths()), static_cast<int>(config_.mesh.pipe));
  if (plan.stages() > 1) plan_ = plan.text();
  return units_of(plan, world_.here().pipe);
}

void Experiment::make_stage() {
  const DType compute = config_.model.compute == "bfloat16" ? DType::kBFloat16 : DType::kFloat32;
  // Without an index: the one that this process has taken.
  const at::Device device = config_.model.device == "cuda" ? at::kCUDA : at::kCPU;
  frozen_ = std::make_shared<FrozenModel>();
  frozen_->stage = model_->make_stage(
      world_, {units_, compute, tokenizer_->eos(), device, config_.mesh.sequence_parallel});
  model_->weights().forget();  // else pages of the file count to this process beside the copies
}

void Experiment::attach() {
  MethodContext context;
  context.labels = task_->prompt_words();
  context.encode = [this](const std::string& text) { return recipe_->encode_words(text); };
  context.pieces = tokenizer_->pieces();
  context.places = places_;
  context.seed = static_cast<std::uint64_t>(config_.train.seed);
  if (frozen_->active) frozen_->active->set_enabled(stage(), false);
  parameters_ = method_->attach(stage(), context);
  frozen_->active = method_.get();
  for (const Parameter& parameter : parameters_) {
    const at::Tensor value = parameter.value();
    at::Tensor same = value.contiguous();
    // Replicas begin with the same bits, whatever their machines round to.
    world_.along(Axis::kData).broadcast(buffer_of(same), 0, Traffic::kControl);
    if (parameter.cut == kWhole) world_.along(Axis::kTensor).broadcast(buffer_of(same), 0, Traffic::kControl);
    if (!same.is_same(value)) value.copy_(same);
  }
  runner_ = std::make_unique<ModelRunner>(stage(), world_, config_.mesh.schedule, !parameters_.empty());
  find_checkpoint_share();
  trained_count_ = count_trained();
}

void Experiment::find_checkpoint_share() {
  share_.tensor_rank = world_.along(Axis::kTensor).rank();
  share_.tensor_ranks = world_.along(Axis::kTensor).size();
  std::string own;
  for (const Parameter& parameter : parameters_) own += parameter.name + '\n';
  Communicator& pipe = world_.along(Axis::kPipe);
  const std::vector<std::string> stages = gather_texts(pipe, own);
  for (int stage = 0; stage < pipe.size(); ++stage) {
    std::istringstream names(stage == pipe.rank() ? "" : stages[static_cast<std::size_t>(stage)]);
    for (std::string name; std::getline(names, name);) share_.elsewhere.insert(name);
  }
}

std::int64_t Experiment::count_trained() {
  if (method_->trains_base()) return stage().parameter_count();
  Communicator& pipe = world_.along(Axis::kPipe);
  const SharedByStages shared(parameters_, pipe);
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters_) {
    if (!shared.counts_here(parameter.name)) continue;
    count += element_count(whole_shape(parameter));
  }
  std::int64_t total = 0;
  for (const std::string& stage : gather_texts(pipe, std::to_string(count))) total += std::stoll(stage);
  return total;
}

// This replica's micro-batches.
std::vector<Batch> Experiment::share_of_step(std::int64_t step) {
  TT_CHECK(rows_ != nullptr, "this experiment was opened without training rows");
  const Batch batch = replica_share(rows_->step(step), world_.mesh().size(Axis::kData), world_.here().data);
  return micro_batches(batch, config_.train.micro_batch_tokens, method_->row_positions());
}

std::vector<MicroBatch> Experiment::train_micro_batches(std::int64_t step) {
  return to_micro_batches(share_of_step(step), stage().pad_id());
}

std::vector<MicroBatch> Experiment::probe_rows(std::int64_t rows) {
  return first_rows(to_micro_batches({rows_->step(0)}, stage().pad_id()), rows);
}

std::string Experiment::train_row_name(std::int64_t step, std::uint64_t sample) {
  return rows_->name(step, sample);
}

std::string Experiment::first_example() const {
  if (rows_) return example_text(rows_->tokens(), *tokenizer_, *method_, places_);
  const auto splits = task_->splits();
  if (std::ranges::find(splits, config_.evaluate.split) == splits.end()) return "";
  std::vector<TextExample> examples = task_->load(config_.evaluate.split);
  keep_first(examples, 1);
  RecipeCounts counts;
  if (examples.empty()) return "";
  return example_text(recipe_->encode(examples, counts), *tokenizer_, *method_, places_);
}

void Experiment::load_trained(const std::string& checkpoint) {
  const Checkpoint file(checkpoint);
  file.check_method(config_.method.name());
  file.check_vocabulary(tokenizer_->hash(), tokenizer_->path());
  file.check_base(base_hash_, config_.model.weights);
  check_same_use(file, config_);
  if (!parameters_.empty()) file.load_values(parameters_, share_);
}

AnswerOptions Experiment::answer_options() const {
  AnswerOptions options;
  options.max_target = config_.text.max_target;
  options.batch_tokens = config_.evaluate.batch_tokens;
  options.lane_positions = method_->lane_positions();
  for (std::int64_t& positions : options.lane_positions) positions += method_->decoder_positions();
  options.ranking = ranking_.get();
  return options;
}

// Each rank asks its own rows and scores all answers.
const Evaluator& Experiment::checked_evaluator(const std::string& name, AnswerOptions options) {
  const bool is_new = !scored_->has_evaluator(name);
  const Evaluator& evaluator = scored_->evaluator(name, std::move(options));
  if (is_new)
    require_same(world_.all(), fmt::format("the split '{}'", name), evaluator.data_hash(),
                 "its rows differ: copy the files of the task to every host again");
  return evaluator;
}

const Evaluator& Experiment::evaluator(const std::string& name) {
  return checked_evaluator(name, answer_options());
}

const Evaluator& Experiment::evaluator(const std::string& name,
                                       std::function<std::int32_t(const TextExample&)> lane_of) {
  AnswerOptions options = answer_options();
  options.lane_of = std::move(lane_of);
  return checked_evaluator(name, std::move(options));
}

}  // namespace trimtab
