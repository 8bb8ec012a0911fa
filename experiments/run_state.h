// SPDX-License-Identifier: Apache-2.0
//
// How far the run of an experiment is, by what its folder holds.
#pragma once

#include <string_view>

#include "experiments/experiment_config.h"

namespace trimtab {

enum class RunState {
  kNotBegun,
  kRunning,        // a process has the lock
  kInterrupted,    // stopped or killed: it goes on
  kFailed,         // ended by an error: it is tried again
  kFinished,       //
  kOutdated,       // finished, but shorter or scored otherwise than is wanted now: it goes on
  kOtherSettings,  // the folder holds a run that this one cannot go on from
};

std::string_view name_of(RunState state);

// Of a resolved experiment. Throws Error for a damaged record.
RunState state_of(const ExperimentConfig& config);

// Whether its folder holds the finished run, as long and scored in the same way. Throws ConfigError that
// names the settings when it holds a run with other ones.
bool is_finished(const ExperimentConfig& config);

}  // namespace trimtab
