// SPDX-License-Identifier: Apache-2.0
//
// Self-attention of ragged rows with T5's relative position bias. The bias is read by distance, scores exist
// only for a block of queries at a time, and the backward pass recomputes them: kept are the input, the
// output and one number per token and head.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "parallel/row_layout.h"

namespace trimtab {

// How distances map to rows of a bias table, and whether a query sees the keys after it.
struct RelativeBias {
  std::int64_t buckets = 32;
  std::int64_t max_distance = 128;
  bool bidirectional = true;
  bool causal = false;
};

// The row of the bias table for a key at position `query + distance` (Raffel et al. 2020; the float32
// arithmetic is that of the reference implementations, so that bucket borders agree).
std::int64_t relative_bucket(std::int64_t distance, const RelativeBias& bias);

// qkv [tokens, 3 * heads * d_kv], queries, keys, values side by side -> [tokens, heads * d_kv]. Scores are
// not scaled. bias_table [buckets, heads]; undefined: no bias. Its gradient is computed only if it requires
// one. key_mask float32 [tokens, heads] scales the weight of each key after the softmax (dropout on attention
// weights that is shared by all queries of a row); undefined: none.
at::Tensor self_attention(const at::Tensor& qkv, const at::Tensor& bias_table, const RelativeBias& bias,
                          const RowLayout& layout, std::int64_t heads, const at::Tensor& key_mask);

namespace detail {
// The bias of every distance -(longest - 1) .. longest - 1 from a float32 table: [heads, 2 * longest - 1].
at::Tensor bias_by_distance(const at::Tensor& table, const RelativeBias& bias, std::int64_t longest);

at::Tensor self_attention_reference(const at::Tensor& qkv, const at::Tensor& bias_table,
                                    const RelativeBias& bias, const RowLayout& layout, std::int64_t heads,
                                    const at::Tensor& key_mask);
}  // namespace detail

}  // namespace trimtab
