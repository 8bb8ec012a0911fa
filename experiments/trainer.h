// SPDX-License-Identifier: Apache-2.0
//
// The loop. A step is a pure function of the experiment file and the step's number, so a run that was stopped
// or killed goes on from its last checkpoint and ends with the same bytes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "experiments/checkpoint.h"
#include "experiments/experiment.h"
#include "experiments/learning_watch.h"
#include "experiments/movement.h"
#include "experiments/run_record.h"
#include "experiments/run_report.h"
#include "experiments/step_journal.h"
#include "experiments/stopwatch.h"
#include "experiments/train_step.h"
#include "experiments/verified_save.h"
#include "parallel/optimizer.h"

namespace trimtab {

// What a pass over the frozen model cost a run that took part in it.
struct PassCost {
  double seconds = 0.0;
  TrafficCounters traffic;
};

class Trainer {
 public:
  // Goes on from output/last.h5 if it is there; throws ConfigError if that run had other settings. Both must
  // outlive this.
  Trainer(Experiment& experiment, Console& console);
  Trainer(const Trainer&) = delete;  // its parts refer to each other
  Trainer& operator=(const Trainer&) = delete;

  // Trains, evaluates, keeps the best and the last checkpoint, scores the best on every split that has
  // targets, and writes the record. Returns false when `should_stop` said so: the state is saved, the same
  // command goes on.
  bool run(const std::function<bool()>& should_stop);

  // run() in parts, for several runs whose steps share a pass over one frozen model. begin() comes first;
  // then, while next() says so, a step: begin_step(), the pass, end_step().
  enum class Next { kStep, kFinished, kStopped };
  // `together`: runs in this pass, this one included.
  void begin(int together = 1);
  // Does all that is due before the next step, or at the end.
  Next next(const std::function<bool()>& should_stop);
  struct Step {
    std::vector<MicroBatch> batches;  // this replica's
    ModelPass pass;                   // how they go through this stage
  };
  Step begin_step();
  // `totals` are those of this run's micro-batches. Throws Diverged.
  void end_step(const Step& step, const PassTotals& totals, const PassCost& cost);
  // Writes that it failed, whatever the reason.
  void fail_run();

  const RunRecord& record() const { return record_; }

 private:
  // Rank 0 alone writes and prints.
  bool speaks() { return experiment_.world().rank() == 0; }
  bool stop_agreed(const std::function<bool()>& should_stop);
  Next before_step(const std::function<bool()>& should_stop);
  void log_step(const Step& step, const StepTotals& sums, double rate);
  void compare_replicas();
  bool evaluation_due() const;
  void evaluate(const std::function<bool()>& should_stop);
  bool gave_up() const;
  void save();
  void score_splits(const std::function<bool()>& should_stop);
  void check_base_unchanged();
  void adopt_best();
  void resume(const Checkpoint& newest);
  void write_journal();
  void note_ranks();
  void write_record(const std::string& status);

  Experiment& experiment_;
  RunFolder folder_;
  std::string passed_over_;             // of the journal
  std::unique_ptr<Checkpoint> newest_;  // until the run goes on from it
  std::unique_ptr<Optimizer> optimizer_;
  TrainStep train_step_;
  Movement movement_;
  LearningWatch watch_;
  CheckpointInfo info_;
  RunRecord record_;
  bool steps_here_ = false;                                 // whether this process has made one
  Stopwatch clock_, step_clock_;                            // of the run in all its parts, and of a step
  std::pair<std::int64_t, std::int64_t> saved_ = {-1, -1};  // steps made and scored in last.h5
  RunReport report_;
  VerifiedSave checkpoints_;
  StepJournal journal_;
};

}  // namespace trimtab
