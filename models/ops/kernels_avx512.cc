// SPDX-License-Identifier: Apache-2.0
//
// The kernels for AVX-512 (x86-64-v4): the flags are in models/CMakeLists.txt.
#include "models/ops/attention_kernels.h"
#include "models/ops/kernel_sets.h"

namespace trimtab::detail {

const Kernels kAvx512Kernels = make_kernels("avx512");

}  // namespace trimtab::detail
