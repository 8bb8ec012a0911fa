// SPDX-License-Identifier: Apache-2.0
#include "bench/throughput_device.h"
#include "runtime/check.h"

namespace trimtab::bench {

void take_gpu(const std::string&) {
  fail_config("--device cuda: this program was built without CUDA; build the preset gpu");
}

std::string gpu_name() { return "none"; }

}  // namespace trimtab::bench
