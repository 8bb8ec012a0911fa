// SPDX-License-Identifier: Apache-2.0
//
// Self-attention of ragged rows, with T5's relative position bias or with rotary positions. The bias is read
// by distance, queries and keys turn on the way into a head's products, scores exist only for a block of
// queries at a time, and the backward pass recomputes all of it: kept are the input, the output and one
// number per token and head.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/ops/rotary.h"
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

// Heads of queries share heads of keys and values, `queries / keys` of them each. Scores are multiplied by
// `scale`.
struct AttentionHeads {
  std::int64_t queries = 1;
  std::int64_t keys = 1;
  double scale = 1.0;
};

// Each token sees itself and those before it in its row. qkv [tokens, (queries + 2 * keys) * head_dim],
// queries, keys, values side by side -> [tokens, queries * head_dim]. `rotary` holds the angles of at least
// as many positions as the longest row has.
at::Tensor causal_attention(const at::Tensor& qkv, const AttentionHeads& heads, const RotaryAngles& rotary,
                            const RowLayout& layout);

namespace detail {
at::Tensor causal_attention_reference(const at::Tensor& qkv, const AttentionHeads& heads,
                                      const RotaryAngles& rotary, const RowLayout& layout);
// The bias of every distance -(longest - 1) .. longest - 1 from a float32 table: [heads, 2 * longest - 1].
at::Tensor bias_by_distance(const at::Tensor& table, const RelativeBias& bias, std::int64_t longest);
// The same for queries [first_query, first_query + queries) and keys [0, keys), where the table is, with
// autograd: [heads, queries, keys].
at::Tensor bias_of_pairs(const at::Tensor& table, const RelativeBias& bias, std::int64_t first_query,
                         std::int64_t queries, std::int64_t keys);
// Gradients by (row, head, distance) -> of the table [buckets, heads], rows summed in order.
at::Tensor bias_table_gradient(const at::Tensor& by_distance, const RelativeBias& bias, std::int64_t longest);

at::Tensor self_attention_reference(const at::Tensor& qkv, const at::Tensor& bias_table,
                                    const RelativeBias& bias, const RowLayout& layout, std::int64_t heads,
                                    const at::Tensor& key_mask);
}  // namespace detail

}  // namespace trimtab
