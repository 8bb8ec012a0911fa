// SPDX-License-Identifier: Apache-2.0
//
// The only places where tensor ranks communicate inside a model, as pairs that are each other's backward
// (Shoeybi et al. 2019, section 3). With one tensor rank both are the identity and cost nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include "runtime/communicator.h"

namespace trimtab {

// Before sharded work: the identity; backward sums the gradient over the tensor ranks. Collective in
// backward.
at::Tensor enter_tensor_region(const at::Tensor& x, Communicator& tensor);

// After sharded work: sums over the tensor ranks; backward is the identity. Collective in forward.
at::Tensor leave_tensor_region(const at::Tensor& x, Communicator& tensor);

}  // namespace trimtab
