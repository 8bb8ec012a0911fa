// SPDX-License-Identifier: Apache-2.0
#include <ATen/Context.h>

#include "bench/throughput_device.h"
#include "models/ops/attention_cuda.h"
#include "models/ops/device_attention.h"
#include "parallel/cuda_library.h"
#include "runtime/check.h"
#include "runtime/nccl_communicator.h"

namespace trimtab::bench {

void take_gpu(const std::string& attention) {
  if (const std::string reason = load_torch_cuda(); !reason.empty())
    fail_config("--device cuda: LibTorch's CUDA library cannot be loaded: {}", reason);
  if (!at::hasCUDA()) fail_config("--device cuda: there is no GPU");
  use_device(0);
  at::globalContext().setSDPUseCuDNN(false);
  choose_attention(at::kCUDA, attention == "default" ? "padded" : attention, cuda_attention(), "--attention");
}

std::string gpu_name() { return current_device().model; }

}  // namespace trimtab::bench
