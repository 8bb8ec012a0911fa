// SPDX-License-Identifier: Apache-2.0
#include <ATen/Context.h>

#include <string>

#include "launch/devices.h"
#include "launch/job.h"
#include "launch/launcher.h"
#include "models/ops/attention_cuda.h"
#include "models/ops/device_attention.h"
#include "parallel/cuda_library.h"
#include "runtime/check.h"
#include "runtime/nccl_communicator.h"

namespace trimtab {

DeviceCommunicatorMaker device_communicators(const ExperimentConfig& config, const HostPlace& place) {
  if (config.model.device == "cpu") return {};
  if (const std::string reason = load_torch_cuda(); !reason.empty())
    fail_config(
        "model.device: cuda, but LibTorch's CUDA library cannot be loaded ({}); run launch/bootstrap --gpu",
        reason);
  if (!at::hasCUDA())
    fail_config("model.device: cuda, but no device is there; look at nvidia-smi, or set it to cpu");
  use_device(device_of(place.rank, place.size, visible_devices(), environment()));
  // cuDNN would build a plan for each new shape of attention, which takes a second.
  at::globalContext().setSDPUseCuDNN(false);
  choose_attention(at::kCUDA, chosen_attention(), cuda_attention(), kAttentionVariable);
  return nccl_communicators({.deadline = deadline_of(config.mesh)});
}

TakenDevice taken_device(const ExperimentConfig& config) {
  if (config.model.device == "cpu") return {};
  const DeviceName name = current_device();
  return {fmt::format("cuda:{} {}, NCCL {}, {} attention", name.index, name.model, nccl_version(),
                      chosen_attention()),
          name.bus};
}

std::string device_report() {
  if (const std::string reason = load_torch_cuda(); !reason.empty()) return "cannot be loaded: " + reason;
  return at::hasCUDA() ? "a device is there, NCCL " + nccl_version() : "no device";
}

}  // namespace trimtab
