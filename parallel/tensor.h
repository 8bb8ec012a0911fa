// SPDX-License-Identifier: Apache-2.0
//
// The bridge between LibTorch's tensors and the runtime's element types and buffers.
#pragma once

#include <ATen/core/Tensor.h>

#include "runtime/communicator.h"
#include "runtime/dtype.h"

namespace trimtab {

at::ScalarType scalar_type(DType type);
// Throws Error for an element type that no communicator or file knows.
DType dtype_of(const at::Tensor& tensor);
// A view of a contiguous tensor's memory, a device's unless it is the host's; the tensor must outlive it.
Buffer buffer_of(const at::Tensor& tensor);

}  // namespace trimtab
