// SPDX-License-Identifier: Apache-2.0
//
// This rank's device. What it needs of CUDA and NCCL is in one of two files of which the build takes one, so
// that nothing else of the program asks whether they are there.
#pragma once

#include <string>

#include "experiments/experiment_config.h"
#include "launch/launcher.h"
#include "runtime/world.h"

namespace trimtab {

// A rank among those of its host, as MPI counts them.
struct HostPlace {
  int rank = 0, size = 1;
};

// Takes the device of `place` among those that this process sees (device_of() in launcher.h), and makes the
// communicators for its memory; empty for model.device: cpu. Throws ConfigError with the remedy when there is
// none to take.
DeviceCommunicatorMaker device_communicators(const ExperimentConfig& config, const HostPlace& place);

// The device that this process has taken: what it is called, and what tells it apart from others of its host.
struct TakenDevice {
  std::string name = "cpu", id;
};
TakenDevice taken_device(const ExperimentConfig& config);

// Which attention a GPU is to use (tests/gpu/README.md): it changes the last digits of what is computed, so
// all ranks need the same.
constexpr const char* kAttentionVariable = "TRIMTAB_ATTENTION";
inline std::string chosen_attention() { return environment()(kAttentionVariable).value_or("padded"); }

// What `trimtab doctor` says of devices.
std::string device_report();

}  // namespace trimtab
