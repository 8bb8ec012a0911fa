// SPDX-License-Identifier: Apache-2.0
#include "launch/beside_run.h"

#include <cstdio>

#include "experiments/questions.h"
#include "experiments/run_record.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/own_folder.h"

namespace trimtab {

int run_beside(const ExperimentConfig& config, const std::string& verb,
               const std::function<int(World&)>& work) {
  const OwnFolder own(RunFolder(config.output).ranks(), verb, OwnFolder::AfterFailure::kStays);
  Job job(config.mesh, {own.path()});
  World world = job.world(config);
  const auto watch = job.watch(world, config.mesh, {own.path()});
  try {
    return work(world);
  } catch (const Interrupted&) {
    if (job.speaks()) std::fprintf(stderr, "%s was stopped: the same command begins anew\n", verb.c_str());
    return kInterrupted;
  }
}

}  // namespace trimtab
