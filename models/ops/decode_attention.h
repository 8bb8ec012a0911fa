// SPDX-License-Identifier: Apache-2.0
//
// Attention for decoding: one new token for every row, against cached keys and values. No autograd, any type
// and device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/ops/cross_attention.h"
#include "models/ops/self_attention.h"
#include "parallel/row_layout.h"

namespace trimtab {

// Keys and values of the tokens so far, of one layer. Rows may hold different numbers of tokens.
struct KvCache {
  // `inner`: width of a token's keys, heads of keys * head_dim.
  KvCache(std::int64_t rows, std::int64_t max_steps, std::int64_t inner, const at::TensorOptions& options);
  // Each row without its last tokens.
  void rewind(std::int64_t tokens);

  at::Tensor keys;    // [rows, max_steps, inner]
  at::Tensor values;  // [rows, max_steps, inner]
  std::vector<std::int64_t> lengths;
};

// qkv_new [rows, 3 * inner]: appends the keys and values of one token a row and returns its attention [rows,
// inner]. bias_table [buckets, heads] or undefined. Fails when a row of the cache is full.
at::Tensor self_attention_step(const at::Tensor& qkv_new, KvCache& cache, const at::Tensor& bias_table,
                               const RelativeBias& bias, std::int64_t heads);

// Keys and values of some tokens more in each row, none in some. qkv [tokens, 3 * inner]. Fails when a row of
// the cache has no room.
void extend_cache(KvCache& cache, const at::Tensor& qkv, std::int64_t heads, const RowLayout& layout);

// The keys (turned to their positions) and values of the first tokens of each row. qkv as causal_attention
// has it. Fails when the cache is not empty or too short.
void fill_cache(KvCache& cache, const at::Tensor& qkv, const AttentionHeads& heads,
                const RotaryAngles& rotary, const RowLayout& layout);

// One more token a row, as causal_attention would compute it: qkv_new [rows, (queries + 2 * keys) *
// head_dim], `rotary` with the angles of each row's new token -> [rows, queries * head_dim].
at::Tensor causal_attention_step(const at::Tensor& qkv_new, KvCache& cache, const AttentionHeads& heads,
                                 const RotaryAngles& rotary);

// q [rows, inner], one token a row -> [rows, inner].
at::Tensor cross_attention_step(const at::Tensor& q, const KeysAndValues& seen, std::int64_t heads);

}  // namespace trimtab
