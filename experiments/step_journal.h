// SPDX-License-Identifier: Apache-2.0
//
// What a run has trained after its latest steps, beside its checkpoints: small files in the run folder, two
// by turns, so that a process that is killed loses no step but the one it was making. They are checkpoints
// that were neither synced to the device nor proved by the probe: cheap enough to be written after every
// step, and passed over if they are damaged.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "experiments/checkpoint.h"
#include "experiments/run_record.h"

namespace trimtab {

// train.journal: "auto" (as often as it costs at most a hundredth of the time, for up to 4 M trained
// numbers), "on" (after every step), "off".
class StepJournal {
 public:
  // `trained`: numbers of all ranks together. All must outlive this.
  StepJournal(const RunFolder& folder, const std::string& mode, std::int64_t trained, World& world);

  // After a step: whether it is time to. Collective over all ranks, as is write().
  bool due();
  // What counts on this rank. Returns "", or on rank 0, once, why it cannot be written: the run goes on
  // without it.
  std::string write(const CheckpointInfo& info, const Parameters& parameters, const OptimizerState& state);

  // For a run that ended: its last checkpoint is all that is needed. Rank 0's.
  void remove();

 private:
  using Clock = std::chrono::steady_clock;

  const RunFolder& folder_;
  World& world_;
  bool always_ = false, enabled_ = false;
  Clock::time_point written_ = Clock::now();
  Clock::duration cost_{};
  int turn_ = 0;
};

// The newest whole state of a run: its last checkpoint, or a file of the journal with more steps; null if
// there is none. Rank 0 chooses for all ranks, collectively. `passed_over` names journal files that are
// damaged. Throws Error for a damaged checkpoint.
std::unique_ptr<Checkpoint> newest_state(const RunFolder& folder, World& world, std::string& passed_over);

}  // namespace trimtab
