// SPDX-License-Identifier: Apache-2.0
#include "models/ops/self_attention.h"

namespace trimtab {

at::Tensor self_attention(const at::Tensor& qkv, const at::Tensor& bias_table, const RelativeBias& bias,
                          const RowLayout& layout, std::int64_t heads, const at::Tensor& key_mask) {
  return detail::self_attention_reference(qkv, bias_table, bias, layout, heads, key_mask);
}

}  // namespace trimtab
