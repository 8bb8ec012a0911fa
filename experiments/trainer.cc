// SPDX-License-Identifier: Apache-2.0
#include "experiments/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "experiments/base_hash.h"
#include "experiments/machine.h"
#include "experiments/same_run.h"
#include "parallel/learning_rate.h"
#include "runtime/agreement.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

TrainStepOptions step_options(const Experiment& experiment) {
  const TrainConfig& train = experiment.config().train;
  return {experiment.dropout(), train.z_loss, static_cast<std::uint64_t>(train.seed)};
}

}  // namespace

Trainer::Trainer(Experiment& experiment, Console& console)
    : experiment_(experiment),
      folder_(experiment.config().output),
      newest_(newest_state(folder_, experiment.world(), passed_over_)),
      train_step_(experiment.runner(), experiment.parameters(), step_options(experiment)),
      movement_(experiment.parameters(), train_step_.sums(),
                experiment.method().trains() && !experiment.method().trains_base()),
      watch_(movement_.enabled() ? [this] { return movement_.moved_share(); } : LearningWatch::MovedShare(),
             experiment.method().suggested_learning_rate()),
      report_(folder_, console, "train", newest_ ? newest_->info().step : 0, experiment.config().train.steps,
              speaks()),
      checkpoints_(experiment, train_step_),
      journal_(folder_, experiment.config().train.journal,
               experiment.method().trains_base() ? 0 : experiment.trained_count(), experiment.world(),
               replica_elsewhere(experiment.world(), host_name())) {
  const ExperimentConfig& config = experiment.config();
  info_.method = config.method.name();
  info_.config = dump_config(config);
  info_.weights = config.model.weights;
  info_.base_hash = experiment.base_hash();
  info_.vocabulary_hash = experiment.tokenizer().hash();
  info_.data_hash = experiment.data_hash();
  record_.name = config.name;
  record_.method = info_.method;
  record_.task = experiment.task().name();
  record_.weights = info_.weights;
  record_.base_hash_before = base_hash(experiment.stage(), experiment.world().all());
  record_.mesh = experiment.world().mesh().text();
  record_.base_parameters = experiment.stage().parameter_count();
  record_.trained_parameters = experiment.trained_count();
  record_.threads = at::get_num_threads();
  for (const std::string& warning : experiment.warnings()) report_.say("warning: " + warning);
  if (experiment.method().trains()) {
    optimizer_ = make_optimizer(config.optimizer.resolved(), &train_step_.sums());
  }
  if (!passed_over_.empty()) report_.say("warning: " + passed_over_);
  if (const auto record = load_record(folder_.record())) {
    clock_ = Stopwatch(record->seconds);
    record_.peak_memory = record->peak_memory;
    checkpoints_.go_on_from(record->checkpoints);
    record_.journal = record->journal;
    record_.traffic = record->traffic;
    record_.traffic_of_ranks = record->traffic_of_ranks;
    record_.traffic_steps = record->traffic_steps;
  }
  if (newest_) resume(*newest_);
  newest_.reset();
  if (!speaks()) return;
  for (const std::string& path : {folder_.record(), folder_.config()}) remove_unfinished(path);
  for (int number = 0; number < RunFolder::kJournals; ++number) remove_unfinished(folder_.journal(number));
  for (const std::string& path : {folder_.last(), folder_.best()}) VerifiedSave::remove_leftovers(path);
  write_file_atomically(folder_.config(), info_.config);
}

void Trainer::resume(const Checkpoint& checkpoint) {
  const std::string& path = checkpoint.store().path();
  checkpoint.check_method(info_.method);
  checkpoint.check_vocabulary(info_.vocabulary_hash, experiment_.tokenizer().path());
  checkpoint.check_base(info_.base_hash, info_.weights);
  check_same_run(checkpoint.info().config, info_.config, path);
  checkpoint.check_data(info_.data_hash);
  if (checkpoint.info().best_step >= 0 && checkpoint.info().step < experiment_.config().train.steps)
    check_same_scoring(checkpoint.info().config, info_.config, path);
  if (!experiment_.parameters().empty()) {
    const Parameters& parameters = experiment_.parameters();
    checkpoint.load_values(parameters, experiment_.checkpoint_share());
    optimizer_->load_state(parameters,
                           checkpoint.state(optimizer_->state(parameters), experiment_.checkpoint_share()));
  }
  const CheckpointInfo now = info_;
  info_ = checkpoint.info();
  info_.config = now.config;
  info_.data_hash = now.data_hash;
  if (path == folder_.last()) saved_ = {info_.step, info_.evaluated_step};
  journal_.keep(path);
  adopt_best();
}

// Who was killed between writing the best checkpoint and the state that names it has another best one than
// the state says. One that is lost is no reason not to go on: what else was trained is whole.
void Trainer::adopt_best() {
  CheckpointInfo best = info_;
  best.step = -1;
  std::string lost;
  try {
    if (std::filesystem::exists(folder_.best()))
      best = Checkpoint(folder_.best()).info();
    else if (info_.best_step >= 0)
      lost = folder_.best() + ": there is no such file";
  } catch (const Error& error) {
    lost = error.what();
  }
  const std::vector<std::string> lost_by = gather_texts(experiment_.world().all(), lost);
  const auto first =
      std::ranges::find_if(lost_by, [](const std::string& problem) { return !problem.empty(); });
  if (first != lost_by.end()) {
    report_.say(
        fmt::format("warning: the best checkpoint is lost ({}): it is chosen anew, among the "
                    "evaluations from here on",
                    *first));
    best.step = -1;
    best.best_score = 0;
    info_.evaluated_step = -1;  // this step's is made again if it was one
  }
  if (best.step == info_.best_step) return;
  info_.best_step = best.step;
  info_.best_score = best.best_score;
  info_.evaluations_without_gain = 0;
}

bool Trainer::run(const std::function<bool()>& should_stop) {
  begin();
  try {
    Next what = next(should_stop);
    for (; what == Next::kStep; what = next(should_stop)) {
      Step step = begin_step();
      const TrafficCounters before = experiment_.world().traffic();
      Stopwatch pass;
      pass.start();
      const PassTotals totals = experiment_.runner().train(step.pass, step.batches);
      PassCost cost{pass.seconds(), experiment_.world().traffic()};
      cost.traffic -= before;
      end_step(step, totals, cost);
    }
    return what == Next::kFinished;
  } catch (const Error&) {
    fail_run();
    throw;
  }
}

void Trainer::begin(int together) {
  record_.together = together;
  report_.say(fmt::format("{}{} trains {} of {} parameters ({:.4f} %), {} threads",
                          together == 1 ? record_.name + ": " : "", record_.method,
                          record_.trained_parameters, record_.base_parameters, record_.share_percent(),
                          record_.threads));
  if (experiment_.world().mesh().size() > 1) report_.say("mesh: " + record_.mesh);
  if (!experiment_.plan().empty()) report_.say(experiment_.plan());
  if (info_.step > 0) report_.say(fmt::format("going on after step {}", info_.step));
  // What an earlier part of the run ended with does not hold any more.
  write_record("running");
}

Trainer::Next Trainer::next(const std::function<bool()>& should_stop) {
  const Timed timed(clock_);
  experiment_.activate();
  try {
    const Next what = experiment_.method().trains() ? before_step(should_stop) : Next::kFinished;
    if (what == Next::kStep) return what;
    if (what == Next::kStopped) throw Interrupted("stopped");
    score_splits(should_stop);
  } catch (const Interrupted&) {
    report_.finish();
    write_record("interrupted");
    report_.say(fmt::format("stopped after step {}; the same command goes on from there", info_.step));
    return Next::kStopped;
  }
  check_base_unchanged();
  note_ranks();
  write_record("finished");
  if (speaks()) journal_.remove();
  if (const std::string line = traffic_line(record_.traffic_of_ranks, record_.traffic_steps); !line.empty())
    report_.say("sent a step, by the rank that sends most: " + line);
  return Next::kFinished;
}

// Evaluates and saves where it is time to.
Trainer::Next Trainer::before_step(const std::function<bool()>& should_stop) {
  const TrainConfig& train = experiment_.config().train;
  try {
    if (evaluation_due()) {
      evaluate(should_stop);
      if (info_.step > 0) write_journal();  // so that it is not done again
    }
  } catch (const Interrupted&) {
    if (info_.step > 0) save();  // the evaluation is done again before the next step
    throw;
  }
  const bool last = info_.step >= train.steps || gave_up();
  const bool stopped = !last && stop_agreed(should_stop);
  const bool due = train.checkpoint_every > 0 && info_.step % train.checkpoint_every == 0;
  if (info_.step > 0 && (last || stopped || due)) save();
  if (!last && !stopped) return Next::kStep;
  report_.finish();
  if (gave_up())
    report_.say(fmt::format("stopped early: no gain in {} evaluations", info_.evaluations_without_gain));
  return stopped ? Next::kStopped : Next::kFinished;
}

bool Trainer::stop_agreed(const std::function<bool()>& should_stop) {
  const CountedTraffic counted(experiment_.world(), record_.traffic.between_steps);
  return any_of(experiment_.world().all(), should_stop && should_stop());
}

// Replicas never send each other what they train, only gradients, so that a rank that went astray would go on
// unseen.
void Trainer::compare_replicas() {
  const OptimizerState state = optimizer_->state(experiment_.parameters());
  for (const Axis axis : {Axis::kData, Axis::kTensor}) {
    const std::string hash = state_hash(experiment_.parameters(), state, axis == Axis::kTensor);
    const std::vector<int> others = ranks_that_differ(experiment_.world().along(axis), hash);
    if (others.empty()) continue;
    fail(
        "after step {}: what rank {} trained is not what the first rank of its {} group ({}) trained: their "
        "machines "
        "compute differently, or one of them is broken. The last saved checkpoint is as it was",
        info_.step, fmt::join(others, ", "), name_of(axis), experiment_.world().along(axis).members()[0]);
  }
}

Trainer::Step Trainer::begin_step() {
  step_clock_ = Stopwatch();
  const Timed timed(step_clock_);
  experiment_.world().activity().begin_step(info_.step);
  if (!steps_here_) {
    record_.traffic = {};  // a process before this one may have had another mesh
    record_.traffic_of_ranks.clear();
    record_.traffic_steps = 0;
    steps_here_ = true;
  }
  return {experiment_.train_micro_batches(info_.step), train_step_.begin(info_.step)};
}

void Trainer::end_step(const Step& step, const PassTotals& totals, const PassCost& cost) {
  const Timed timed(step_clock_);
  step_clock_.add(cost.seconds);
  experiment_.activate();
  World& world = experiment_.world();
  const ExperimentConfig& config = experiment_.config();
  const std::int64_t n = info_.step;
  const TrafficCounters before = world.traffic();
  const StepTotals sums = train_step_.finish(
      n, step.batches, totals, [&](std::uint64_t sample) { return experiment_.train_row_name(n, sample); });
  const double rate = learning_rate_at(config.optimizer.resolved(), n, config.train.steps);
  world.activity().enter(Phase::kUpdate);
  movement_.before_step();
  optimizer_->step(experiment_.parameters(), rate);
  record_.traffic.steps += cost.traffic;
  record_.traffic.steps += world.traffic();
  record_.traffic.steps -= before;
  ++record_.traffic_steps;
  const CountedTraffic between(world, record_.traffic.between_steps);
  log_step(step, sums, rate);
  ++info_.step;
  const std::int64_t every = config.train.compare_every;
  if (every > 0 && (info_.step % every == 0 || info_.step == config.train.steps)) compare_replicas();
  write_journal();
  clock_.add(step_clock_.seconds());
}

void Trainer::write_journal() {
  if (!journal_.due()) return;
  const CountedCost cost(record_.journal);
  // A restart would go on from it.
  for (const Parameter& parameter : experiment_.parameters())
    if (!at::isfinite(parameter.value()).all().item<bool>())
      throw Diverged(fmt::format(
          "after step {}: {} has values that are not finite. What was saved before is as it was. A lower "
          "optimizer.learning_rate usually helps, in another output folder",
          info_.step, parameter.name));
  experiment_.world().activity().enter(Phase::kSaving);
  const Parameters counted = train_step_.counted();
  const std::string news = journal_.write(info_, counted, optimizer_->state(counted));
  if (!news.empty()) report_.say(news);
}

void Trainer::log_step(const Step& step, const StepTotals& sums, double rate) {
  const TrainConfig& train = experiment_.config().train;
  const std::int64_t n = info_.step;
  const double loss = sums.loss / static_cast<double>(sums.tokens);
  if (n % train.log_every == 0 || n + 1 == train.steps) {
    std::int64_t input_tokens = 0;
    for (const MicroBatch& batch : step.batches) input_tokens += batch.encoder.tokens();
    Communicator& data = experiment_.world().along(Axis::kData);
    if (data.size() > 1)
      data.all_reduce({&input_tokens, 1, DType::kInt64}, ReduceOp::kSum, Traffic::kControl);
    nlohmann::ordered_json values = {{"loss", loss},
                                     {"target_tokens", sums.tokens},
                                     {"tokens", sums.tokens + input_tokens},
                                     {"gradient_norm", sums.gradient_norm},
                                     {"learning_rate", rate},
                                     {"seconds", step_clock_.seconds()}};
    movement_.add_to(values);
    report_.metrics(n + 1, "train", values);
  }
  report_.progress(n + 1, loss);
  if (const std::string warning = watch_.after(n + 1, loss); !warning.empty()) report_.say(warning);
}

bool Trainer::evaluation_due() const {
  const TrainConfig& train = experiment_.config().train;
  return train.evaluate_every > 0 && info_.evaluated_step < info_.step &&
         (info_.step % train.evaluate_every == 0 || info_.step == train.steps);
}

void Trainer::evaluate(const std::function<bool()>& should_stop) {
  const std::string& split = experiment_.config().evaluate.split;
  const Evaluation evaluation = experiment_.evaluator(split).run(experiment_.runner(), should_stop);
  const double score = evaluation.scores.main_value();
  info_.evaluated_step = info_.step;
  std::string best = "before training";
  // What was there before training is a point of the curve, not a candidate.
  if (info_.step > 0) {
    const bool again = info_.best_step == info_.step;  // by a process that was killed: adopt_best()
    if (info_.best_step < 0 || score > info_.best_score || again) {
      info_.best_score = score;
      info_.best_step = info_.step;
      info_.evaluations_without_gain = 0;
      checkpoints_.save(folder_.best(), info_, nullptr);
      best = "best so far";
    } else {
      ++info_.evaluations_without_gain;
      best = fmt::format("best {:.2f} at step {}", info_.best_score, info_.best_step);
    }
  }
  report_.metrics(info_.step, split, score_values(evaluation.scores, evaluation.seconds));
  report_.say(fmt::format("step {}: {}; {}", info_.step,
                          score_line(split, evaluation.scores, evaluation.seconds), best));
}

bool Trainer::gave_up() const {
  const std::int64_t patience = experiment_.config().train.patience;
  return patience > 0 && info_.evaluations_without_gain >= patience;
}

void Trainer::save() {
  const std::pair now(info_.step, info_.evaluated_step);
  if (saved_ == now) return;
  const OptimizerState state = optimizer_->state(train_step_.counted());
  checkpoints_.save(folder_.last(), info_, &state);
  saved_ = now;
  write_record("running");
}

void Trainer::score_splits(const std::function<bool()>& should_stop) {
  if (info_.best_step >= 0) experiment_.load_trained(folder_.best());
  for (const std::string& split : experiment_.scored_splits()) {
    const Evaluation evaluation = experiment_.evaluator(split).run(experiment_.runner(), should_stop);
    record_.scores[split] = evaluation.scores;
    report_.say(score_line(split, evaluation.scores, evaluation.seconds));
  }
}

void Trainer::check_base_unchanged() {
  record_.base_hash_after = base_hash(experiment_.stage(), experiment_.world().all());
  if (experiment_.method().trains_base() || record_.base_hash_after == record_.base_hash_before) return;
  fail("the frozen base model is not what it was: SHA-256 {}... before the run, {}... after it",
       short_hash(record_.base_hash_before), short_hash(record_.base_hash_after));
}

// What went wrong first is what is said, also where the record cannot be written for the same reason.
void Trainer::fail_run() {
  report_.finish();
  try {
    write_record("failed");
  } catch (const Error& error) {
    report_.say(fmt::format("the record is as it was: {}", error.what()));
  }
}

void Trainer::note_ranks() {
  Communicator& all = experiment_.world().all();
  record_.rank_peaks.clear();
  for (const std::string& peak : gather_texts(all, std::to_string(peak_memory())))
    record_.rank_peaks.push_back(std::stoull(peak));
  if (steps_here_) record_.traffic_of_ranks = gather_traffic(all, record_.traffic);
}

void Trainer::write_record(const std::string& status) {
  record_.status = status;
  record_.steps = info_.step;
  record_.best_step = info_.best_step;
  record_.best_score = info_.best_score;
  record_.checkpoints = checkpoints_.cost();
  record_.seconds = clock_.seconds();
  record_.peak_memory = std::max(record_.peak_memory, peak_memory());
  if (speaks()) save_record(record_, folder_.record());
}

}  // namespace trimtab
