// SPDX-License-Identifier: Apache-2.0
//
// Saves what a run has trained so that a file gets a checkpoint's name only when every rank has read it back
// and computes with it what it computed before.
#pragma once

#include <string>
#include <vector>

#include "experiments/checkpoint.h"
#include "experiments/experiment.h"
#include "experiments/saving_cost.h"
#include "experiments/train_step.h"

namespace trimtab {

class VerifiedSave {
 public:
  // Both must outlive this.
  VerifiedSave(Experiment& experiment, TrainStep& train_step);

  // Collective; `state` null: without the optimizer's. Throws Diverged, before the file that was good is
  // replaced, if the loss is not finite, and Error if what was read back computes something else.
  void save(const std::string& path, const CheckpointInfo& info, const OptimizerState* state);
  // What saving took so far.
  const SavingCost& cost() const { return cost_; }
  void go_on_from(const SavingCost& cost) { cost_ = cost; }

  // Of what was being saved under this name when its writer was killed. Rank 0's.
  static void remove_leftovers(const std::string& path);

 private:
  Experiment& experiment_;
  TrainStep& train_step_;
  std::vector<MicroBatch> probe_;  // a few rows on which the file is verified
  SavingCost cost_;
};

}  // namespace trimtab
