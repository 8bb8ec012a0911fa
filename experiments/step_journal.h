// SPDX-License-Identifier: Apache-2.0
//
// What a run has trained after its latest steps, beside its checkpoints: small files in the run folder, two
// by turns, so that a process that is killed loses no step but the one it was making. They are checkpoints
// that were not proved by the probe, cheap enough to be written after every step, and passed over if they are
// damaged. Now and then one is synced to the device; until the other one is, it is not written to, so that a
// host that loses power loses the steps since then at most. Where another host holds a replica, its first
// rank writes two such files as well, so that what one host has not yet handed to the folder's device the
// other has.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "experiments/checkpoint.h"
#include "experiments/pace.h"
#include "experiments/run_record.h"

namespace trimtab {

// train.journal: "auto" (after every step for what is as small as a prompt; else, for up to 4 M trained
// numbers, as Pace says), "on" (after every step), "off".
class StepJournal {
 public:
  // `trained`: numbers of all ranks together. `second`: the replica that writes beside the first one
  // (replica_elsewhere); 0: none. All must outlive this.
  StepJournal(const RunFolder& folder, const std::string& mode, std::int64_t trained, World& world,
              int second = 0);

  // The file that the run goes on from, if it is one of the journal: the other one is written first.
  void keep(const std::string& path);

  // After a step: whether it is time to. Collective over all ranks, as is write().
  bool due();
  // What counts on this rank. Where it fails the run goes on, and due() says when it is tried again. Returns
  // what rank 0 has to say: that it cannot be written any more, or that it can again; else "".
  std::string write(const CheckpointInfo& info, const Parameters& parameters, const OptimizerState& state);

  // For a run that ended: its last checkpoint is all that is needed. Rank 0's.
  void remove();

 private:
  bool is_writer() const;  // this rank
  std::string file(int turn) const;
  void write_file(const CheckpointInfo& info, const GatheredState& state);

  const RunFolder& folder_;
  World& world_;
  int second_ = 0;
  bool enabled_ = false, every_step_ = false;
  Pace writes_, syncs_;
  Retry retry_;    // whether it fails is known to all ranks
  int kept_ = -1;  // which of this rank's two files lies on the device; -1: none
};

// The first replica whose first rank is on another host than rank 0; 0 if there is none. `host` is this
// rank's. Collective over all ranks.
int replica_elsewhere(World& world, const std::string& host);

// The newest whole state of a run: its last checkpoint, or a file of the journal with more steps; null if
// there is none. Rank 0 chooses for all ranks, collectively, and all must see its folder. `passed_over` says
// which files are damaged. Throws Error for a damaged checkpoint beside which no file of the journal is
// whole.
std::unique_ptr<Checkpoint> newest_state(const RunFolder& folder, World& world, std::string& passed_over);

}  // namespace trimtab
