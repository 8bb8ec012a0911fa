// SPDX-License-Identifier: Apache-2.0
//
// Root-mean-square norm over the width of each token, without mean and without bias (T5 and Llama). For the
// backward pass it keeps its input and one number per token.
#pragma once

#include <ATen/core/Tensor.h>

namespace trimtab {

// x_td [tokens, width] -> x * weight_d / sqrt(mean(x^2) + epsilon), in the type of x. Statistics are float32.
// The gradient of weight_d [width] is computed only if it requires one.
at::Tensor rms_norm(const at::Tensor& x_td, const at::Tensor& weight_d, double epsilon);

namespace detail {
// The same from plain LibTorch operations: for other types and devices, and what the tests compare with.
at::Tensor rms_norm_reference(const at::Tensor& x_td, const at::Tensor& weight_d, double epsilon);
}  // namespace detail

}  // namespace trimtab
