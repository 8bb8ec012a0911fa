// SPDX-License-Identifier: Apache-2.0
//
// Attention of decoder rows to encoder rows, without bias and without scaling. Two paths compute the same
// function: `projected` makes keys and values of every encoder token; `absorbed` carries the few queries into
// model space instead, (q Wk) enc^T and (P enc) Wv^T, which for targets of a few tokens saves nearly all of
// that work.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "parallel/row_layout.h"

namespace trimtab {

// q [decoder tokens, heads * d_kv], encoder [encoder tokens, d_model], wk and wv [heads * d_kv, d_model] ->
// [decoder tokens, heads * d_kv]. key_mask float32 [encoder tokens, heads] scales the weight of each key
// after the softmax; undefined: none. Takes the path with fewer operations; the projected one if wk or wv
// requires a gradient.
at::Tensor cross_attention(const at::Tensor& q, const at::Tensor& encoder, const at::Tensor& wk,
                           const at::Tensor& wv, const RowLayout& decoder_layout,
                           const RowLayout& encoder_layout, std::int64_t heads, const at::Tensor& key_mask);

// What is attended to, of one layer.
struct KeysAndValues {
  at::Tensor keys;    // [key tokens, heads * d_kv]
  at::Tensor values;  // [key tokens, heads * d_kv]
  RowLayout layout;
};

// The same with keys and values that are there already; those of a row need not be its encoder tokens only.
at::Tensor attend_to_keys(const at::Tensor& q, const KeysAndValues& seen, const RowLayout& decoder_layout,
                          std::int64_t heads, const at::Tensor& key_mask);

namespace detail {
// Multiply-adds of the forward pass.
double projected_cost(const RowLayout& decoder, const RowLayout& encoder, std::int64_t inner,
                      std::int64_t d_model);
double absorbed_cost(const RowLayout& decoder, const RowLayout& encoder, std::int64_t inner,
                     std::int64_t d_model, std::int64_t heads);

at::Tensor cross_attention_projected(const at::Tensor& q, const at::Tensor& encoder, const at::Tensor& wk,
                                     const at::Tensor& wv, const RowLayout& decoder_layout,
                                     const RowLayout& encoder_layout, std::int64_t heads,
                                     const at::Tensor& key_mask);
at::Tensor cross_attention_absorbed(const at::Tensor& q, const at::Tensor& encoder, const at::Tensor& wk,
                                    const at::Tensor& wv, const RowLayout& decoder_layout,
                                    const RowLayout& encoder_layout, std::int64_t heads,
                                    const at::Tensor& key_mask);
at::Tensor cross_attention_reference(const at::Tensor& q, const at::Tensor& encoder, const at::Tensor& wk,
                                     const at::Tensor& wv, const RowLayout& decoder_layout,
                                     const RowLayout& encoder_layout, std::int64_t heads,
                                     const at::Tensor& key_mask);
at::Tensor attend_to_keys_reference(const at::Tensor& q, const KeysAndValues& seen,
                                    const RowLayout& decoder_layout, std::int64_t heads,
                                    const at::Tensor& key_mask);
}  // namespace detail

}  // namespace trimtab
