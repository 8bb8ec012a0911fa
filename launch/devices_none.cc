// SPDX-License-Identifier: Apache-2.0
#include "launch/devices.h"
#include "runtime/check.h"

namespace trimtab {

DeviceCommunicatorMaker device_communicators(const ExperimentConfig& config, const HostPlace&) {
  if (config.model.device == "cpu") return {};
  fail_config(
      "model.device: {}, but this program was built without CUDA; build it with `cmake --preset gpu`, or set "
      "it to cpu",
      config.model.device);
}

TakenDevice taken_device(const ExperimentConfig&) { return {}; }

std::string device_report() { return "this program was built without CUDA"; }

}  // namespace trimtab
