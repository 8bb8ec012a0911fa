// SPDX-License-Identifier: Apache-2.0
//
// What lies between the two matrix multiplications of a feed-forward block, in one pass over memory:
// activation, gate and dropout. Only the input is kept for the backward pass. Row masks are those of
// models/ops/dropout.h.
#pragma once

#include <ATen/core/Tensor.h>

#include "parallel/row_layout.h"

namespace trimtab {

// ab [tokens, 2 * ff], the gate's half (wi_0) first -> gelu(a) * b * mask of the row, [tokens, ff]. gelu is
// the tanh form that T5 1.1 was trained with.
at::Tensor gated_gelu(const at::Tensor& ab, const at::Tensor& mask_rf, const RowLayout& layout);

// The same with silu(a) = a * sigmoid(a) for gelu (SwiGLU of Llama); the gate's half is gate_proj's.
at::Tensor gated_silu(const at::Tensor& ab, const at::Tensor& mask_rf, const RowLayout& layout);

// x [tokens, ff] -> max(x, 0) * mask of the row (T5 1.0).
at::Tensor relu_dropout(const at::Tensor& x_tf, const at::Tensor& mask_rf, const RowLayout& layout);

namespace detail {
at::Tensor gated_gelu_reference(const at::Tensor& ab, const at::Tensor& mask_rf, const RowLayout& layout);
at::Tensor gated_silu_reference(const at::Tensor& ab, const at::Tensor& mask_rf, const RowLayout& layout);
at::Tensor relu_dropout_reference(const at::Tensor& x_tf, const at::Tensor& mask_rf, const RowLayout& layout);
}  // namespace detail

}  // namespace trimtab
