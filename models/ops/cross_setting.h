// SPDX-License-Identifier: Apache-2.0
//
// What both paths of cross-attention need beside the tensors that take part in autograd.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>

#include "parallel/row_layout.h"

namespace trimtab::detail {

struct CrossSetting {
  RowLayout decoder;
  RowLayout encoder;
  std::int64_t heads;
  at::Tensor key_mask;  // [heads, encoder tokens] or undefined
};

// The arguments of cross_attention, checked; the mask with heads first.
CrossSetting checked_setting(const at::Tensor& q, const at::Tensor& encoder, const at::Tensor& wk,
                             const at::Tensor& wv, const RowLayout& decoder_layout,
                             const RowLayout& encoder_layout, std::int64_t heads, const at::Tensor& key_mask);

// To and from an autograd context, which keeps the mask among its tensors.
void save_setting(torch::autograd::AutogradContext* context, const CrossSetting& setting);
CrossSetting restored_setting(torch::autograd::AutogradContext* context, const at::Tensor& key_mask);

}  // namespace trimtab::detail
