// SPDX-License-Identifier: Apache-2.0
//
// A job that reads a run which may be another job's at the time, such as `evaluate`: what its ranks say of
// themselves lies in a folder of its own, OUTPUT/ranks/VERB-JOB, which stays only if it fails.
#pragma once

#include <functional>
#include <string>

#include "experiments/experiment_config.h"
#include "runtime/world.h"

namespace trimtab {

// Starts the job, watches over it, and returns the exit code of `work`, or that of an interruption.
int run_beside(const ExperimentConfig& config, const std::string& verb,
               const std::function<int(World&)>& work);

}  // namespace trimtab
