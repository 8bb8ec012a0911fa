// SPDX-License-Identifier: Apache-2.0
//
// Many runs over one frozen model that is in memory once: step by step, each run makes its own, all of them
// in one pass. A run computes what it would compute alone, bit for bit, and leaves its own folder behind.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/trainer.h"

namespace trimtab {

class JointTraining {
 public:
  // The configs of runs that train, but not the base, and share_model(). Throws ConfigError otherwise, and
  // what Experiment throws. `world` and `console` must outlive this.
  JointTraining(const std::vector<ExperimentConfig>& configs, World& world, const Console& console,
                const std::function<bool()>& should_stop);
  ~JointTraining();

  // False when `should_stop` said so: the state of every run is saved, and each goes on from there, together
  // or alone. A run that diverges ends, the others go on without it.
  bool run(const std::function<bool()>& should_stop);

  // "name: why" of each run that diverged.
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  struct Member;
  void require_same_first_stage();
  // Does it, unless it diverges: then the run is over. Whether it goes on.
  bool survives(Member& member, const std::function<void()>& action);
  bool stop_all();
  void make_step();

  World& world_;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<Member*> live_;
  std::vector<std::string> failures_;
};

// Whether a run can be trained together with others at all.
bool can_share_model(const ExperimentConfig& config);

}  // namespace trimtab
