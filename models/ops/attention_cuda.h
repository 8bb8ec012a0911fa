// SPDX-License-Identifier: Apache-2.0
//
// The blocks of models/ops/ragged_attention.h as CUDA kernels: a library of its own (trimtab::attention_cuda)
// that exists where the CUDA toolkit does.
#pragma once

#include "models/ops/ragged_types.h"

namespace trimtab {

// Queues on the legacy default stream, on which LibTorch computes unless told otherwise, of the calling
// thread's device. Throws std::runtime_error with CUDA's reason when a launch is refused. Lives as long as
// the program.
const ragged::Launcher& cuda_attention();

}  // namespace trimtab
