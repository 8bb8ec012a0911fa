// SPDX-License-Identifier: Apache-2.0
//
// The kernels for AVX2 and FMA (x86-64-v3): the flags are in models/CMakeLists.txt.
#include "models/ops/attention_kernels.h"
#include "models/ops/kernel_sets.h"

namespace trimtab::detail {

const Kernels kAvx2Kernels = make_kernels("avx2");

}  // namespace trimtab::detail
