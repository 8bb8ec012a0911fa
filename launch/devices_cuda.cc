// SPDX-License-Identifier: Apache-2.0
#include <ATen/Context.h>
#include <dlfcn.h>

#include <string>

#include "launch/devices.h"
#include "launch/launcher.h"
#include "runtime/check.h"
#include "runtime/nccl_communicator.h"

namespace trimtab {
namespace {

// LibTorch's CUDA library needs a driver and 4 GB of NVIDIA's libraries, so it is loaded only by who asks for
// it. "" or why it cannot be.
std::string load_torch_cuda() {
  for (const char* library : {"libc10_cuda.so", "libtorch_cuda.so"})
    if (dlopen(library, RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      const char* reason = dlerror();
      return reason == nullptr ? library : reason;
    }
  return "";
}

}  // namespace

DeviceCommunicatorMaker device_communicators(const ExperimentConfig& config, const HostPlace& place) {
  if (config.model.device == "cpu") return {};
  if (const std::string reason = load_torch_cuda(); !reason.empty())
    fail_config(
        "model.device: cuda, but LibTorch's CUDA library cannot be loaded ({}); run launch/bootstrap --gpu",
        reason);
  if (!at::hasCUDA())
    fail_config("model.device: cuda, but no device is there; look at nvidia-smi, or set it to cpu");
  use_device(device_of(place.rank, place.size, visible_devices(), environment()));
  return nccl_communicators();
}

TakenDevice taken_device(const ExperimentConfig& config) {
  if (config.model.device == "cpu") return {};
  const DeviceName name = current_device();
  return {fmt::format("cuda:{} {}, NCCL {}", name.index, name.model, nccl_version()), name.bus};
}

std::string device_report() {
  if (const std::string reason = load_torch_cuda(); !reason.empty()) return "cannot be loaded: " + reason;
  return at::hasCUDA() ? "a device is there, NCCL " + nccl_version() : "no device";
}

}  // namespace trimtab
