// SPDX-License-Identifier: Apache-2.0
#include "models/ops/kernels.h"

#include "models/ops/kernel_sets.h"

namespace trimtab::detail {
namespace {

struct KernelSets {
  const Kernels* sets[3];
  int count;
};

KernelSets find_sets() {
  KernelSets found = {{&kGenericKernels, nullptr, nullptr}, 1};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    found.sets[found.count++] = &kAvx2Kernels;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
      found.sets[found.count++] = &kAvx512Kernels;
  }
#endif
  return found;
}

const KernelSets& kernel_sets() {
  static const KernelSets found = find_sets();
  return found;
}

}  // namespace

const Kernels& kernels() { return *kernel_sets().sets[kernel_sets().count - 1]; }

const Kernels* const* all_kernels(int* count) {
  *count = kernel_sets().count;
  return kernel_sets().sets;
}

}  // namespace trimtab::detail
