// SPDX-License-Identifier: Apache-2.0
#include "models/ops/cross_attention.h"

namespace trimtab {

at::Tensor cross_attention(const at::Tensor& q, const at::Tensor& encoder, const at::Tensor& wk,
                           const at::Tensor& wv, const RowLayout& decoder_layout,
                           const RowLayout& encoder_layout, std::int64_t heads, const at::Tensor& key_mask) {
  return detail::cross_attention_reference(q, encoder, wk, wv, decoder_layout, encoder_layout, heads,
                                           key_mask);
}

}  // namespace trimtab
