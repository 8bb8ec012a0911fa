// SPDX-License-Identifier: Apache-2.0
//
// The only places where tensor ranks communicate inside a model, as pairs that are each other's backward: one
// for activations that every rank holds whole (Shoeybi et al. 2019, section 3), and one for those of which
// each rank holds some tokens (Korthikanti et al. 2022, section 4.2.2). With one tensor rank all are the
// identity and cost nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include "runtime/communicator.h"
#include "runtime/shard.h"

namespace trimtab {

// Before sharded work: the identity; backward sums the gradient over the tensor ranks. Collective in
// backward.
at::Tensor enter_tensor_region(const at::Tensor& x, Communicator& tensor);

// After sharded work: sums over the tensor ranks; backward is the identity. Collective in forward.
at::Tensor leave_tensor_region(const at::Tensor& x, Communicator& tensor);

// Which of a number of tokens this tensor rank holds: equal shares, but for one token.
Share own_tokens(std::int64_t tokens, const Communicator& tensor);

// Before sharded work: [own tokens, d] of every rank -> [tokens, d]; backward sums the gradient over the
// tensor ranks and keeps own tokens. Collective in both directions.
at::Tensor gather_tokens(const at::Tensor& x_td, std::int64_t tokens, Communicator& tensor);

// After sharded work: [tokens, d] -> sums over the tensor ranks of own tokens; backward gathers. Collective
// in both directions.
at::Tensor scatter_tokens(const at::Tensor& x_td, Communicator& tensor);

}  // namespace trimtab
