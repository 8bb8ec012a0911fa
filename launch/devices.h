// SPDX-License-Identifier: Apache-2.0
//
// This rank's device. What it needs of CUDA and NCCL is in one of two files of which the build takes one, so
// that nothing else of the program asks whether they are there.
#pragma once

#include "experiments/experiment_config.h"
#include "launch/launcher.h"
#include "runtime/world.h"

namespace trimtab {

// Takes the device of `place` among those that this process sees, and makes the communicators for its
// memory; empty for model.device: cpu. Throws ConfigError with the remedy when there is none to take.
DeviceCommunicatorMaker device_communicators(const ExperimentConfig& config, const LauncherPlace& place);

// What `trimtab doctor` says of devices.
std::string device_report();

}  // namespace trimtab
