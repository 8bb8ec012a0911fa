// SPDX-License-Identifier: Apache-2.0
//
// The sets of kernels that this build holds: one source each, constant-initialised.
#pragma once

#include "models/ops/kernels.h"

namespace trimtab::detail {

extern const Kernels kGenericKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

}  // namespace trimtab::detail
