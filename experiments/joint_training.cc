// SPDX-License-Identifier: Apache-2.0
#include "experiments/joint_training.h"

#include <cmath>
#include <utility>

#include "experiments/joint_pass.h"
#include "models/methods/tuning_method.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Of what a pass sent, the part that is due to a share of its positions.
TrafficCounters part_of(const TrafficCounters& all, double share) {
  const auto part = [&](std::int64_t n) { return std::llround(static_cast<double>(n) * share); };
  TrafficCounters out;
  for (std::size_t i = 0; i < kTrafficKinds; ++i)
    out.counts[i] = {part(all.counts[i].calls), part(all.counts[i].messages), part(all.counts[i].bytes)};
  return out;
}

// The totals of the micro-batches [begin, begin + batches.size()) of a pass, added up as in a pass of their
// own.
PassTotals totals_of(const PassTotals& all, std::size_t begin, const std::vector<MicroBatch>& batches) {
  PassTotals out;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    out.losses.push_back(all.losses.at(begin + i));
    out.loss += out.losses.back();
    out.tokens += batches[i].decoder.tokens();
  }
  return out;
}

}  // namespace

bool can_share_model(const ExperimentConfig& config) {
  Subtree options = config.method;
  const auto method = make_method(options);
  return method->trains() && !method->trains_base();
}

struct JointTraining::Member {
  Member(std::unique_ptr<Experiment> built, const Console& shared)
      : console(shared), experiment(std::move(built)) {
    console.run = experiment->config().name;
    console.terminal = false;  // many lines cannot be redrawn in one place
    trainer = std::make_unique<Trainer>(*experiment, console);
  }

  double positions(const std::vector<MicroBatch>& batches) const {
    std::int64_t count = 0;
    for (const MicroBatch& batch : batches)
      count += batch.encoder.tokens() + batch.decoder.tokens() +
               batch.rows() * experiment->method().row_positions();
    return static_cast<double>(count);
  }

  Console console;
  std::unique_ptr<Experiment> experiment;
  std::unique_ptr<Trainer> trainer;
};

JointTraining::JointTraining(const std::vector<ExperimentConfig>& configs, World& world,
                             const Console& console, const std::function<bool()>& should_stop)
    : world_(world) {
  TT_CHECK(!configs.empty(), "no run to train");
  for (const ExperimentConfig& config : configs) {
    if (!can_share_model(config))
      fail_config("{}: method.name: {} does not train beside a frozen model: run it by itself", config.name,
                  config.method.name());
    auto experiment = members_.empty()
                          ? std::make_unique<Experiment>(config, world, TrainingData::kLoad, should_stop)
                          : std::make_unique<Experiment>(config, *members_.front()->experiment, should_stop);
    members_.push_back(std::make_unique<Member>(std::move(experiment), console));
    live_.push_back(members_.back().get());
  }
  require_same_first_stage();
}

JointTraining::~JointTraining() = default;

// A pass has one order of messages, in which a stage either hands gradients back or does not.
void JointTraining::require_same_first_stage() {
  Experiment& first = *members_.front()->experiment;
  for (const auto& member : members_) {
    Experiment& other = *member->experiment;
    if (other.runner().first_trained() != first.runner().first_trained())
      fail_config("{}: trains from stage {} on, {} from stage {} on: run them apart", other.config().name,
                  other.runner().first_trained(), first.config().name, first.runner().first_trained());
  }
}

bool JointTraining::run(const std::function<bool()>& should_stop) {
  for (Member* member : live_) member->trainer->begin(static_cast<int>(members_.size()));
  try {
    while (!live_.empty()) {
      std::vector<Member*> stepping;
      bool stopped = false;
      for (Member* member : live_) {
        Trainer::Next next = Trainer::Next::kFinished;
        survives(*member, [&] { next = member->trainer->next(should_stop); });
        stopped = stopped || next == Trainer::Next::kStopped;
        if (next == Trainer::Next::kStep) stepping.push_back(member);
      }
      live_ = std::move(stepping);
      if (stopped) return stop_all();
      if (!live_.empty()) make_step();
    }
  } catch (const Error&) {
    for (Member* member : live_) member->trainer->fail_run();
    throw;
  }
  return true;
}

bool JointTraining::survives(Member& member, const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (const Diverged& error) {
    member.trainer->fail_run();
    failures_.push_back(fmt::format("{}: {}", member.experiment->config().name, error.what()));
    return false;
  }
}

// One of them heard that it is to stop: so do those that would go on.
bool JointTraining::stop_all() {
  for (Member* member : live_) survives(*member, [&] { member->trainer->next([] { return true; }); });
  return false;
}

void JointTraining::make_step() {
  std::vector<Trainer::Step> steps;
  std::vector<JointPass::Run> runs;
  std::vector<MicroBatch> batches;
  double all_positions = 0.0;
  for (Member* member : live_) {
    Trainer::Step& step = steps.emplace_back(member->trainer->begin_step());
    for (MicroBatch& batch : step.batches) {
      batch.run = runs.size();
      batches.push_back(batch);
    }
    runs.push_back({member->experiment.get(), step.pass});
    all_positions += member->positions(step.batches);
  }
  JointPass pass(std::move(runs));
  Stopwatch clock;
  clock.start();
  const TrafficCounters before = world_.traffic();
  const PassTotals totals = live_.front()->experiment->runner().train(pass, batches);
  const double seconds = clock.seconds();
  TrafficCounters traffic = world_.traffic();
  traffic -= before;

  std::vector<Member*> left;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < live_.size(); ++i) {
    Member& member = *live_[i];
    const std::vector<MicroBatch>& own = steps[i].batches;
    const double share = member.positions(own) / all_positions;
    if (survives(member, [&] {
          member.trainer->end_step(steps[i], totals_of(totals, begin, own),
                                   {seconds * share, part_of(traffic, share)});
        }))
      left.push_back(&member);
    begin += own.size();
  }
  live_ = std::move(left);
}

}  // namespace trimtab
