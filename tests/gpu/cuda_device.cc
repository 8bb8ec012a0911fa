// SPDX-License-Identifier: Apache-2.0
#include <ATen/Context.h>

#include "gpu/device_under_test.h"
#include "models/ops/attention_cuda.h"
#include "parallel/cuda_library.h"

namespace trimtab::test {

std::string no_device() {
  static const std::string reason = [] {
    const std::string not_loaded = load_torch_cuda();
    if (!not_loaded.empty()) return "LibTorch's CUDA library cannot be loaded: " + not_loaded;
    return std::string(at::hasCUDA() ? "" : "this machine has no GPU");
  }();
  return reason;
}

at::Device device_under_test() { return {at::kCUDA, 0}; }

const ragged::Launcher& attention_of_device() { return cuda_attention(); }

}  // namespace trimtab::test
