// SPDX-License-Identifier: Apache-2.0
//
// The kernels for the baseline of the processor: the flags are in models/CMakeLists.txt.
#include "models/ops/attention_kernels.h"
#include "models/ops/kernel_sets.h"

namespace trimtab::detail {

const Kernels kGenericKernels = make_kernels("generic");

}  // namespace trimtab::detail
