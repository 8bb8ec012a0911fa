// SPDX-License-Identifier: Apache-2.0
//
// Attention from plain LibTorch operations, row by row: for other types than float32 and other devices than
// the CPU, and what the tests compare the fused operations with.
#include <ATen/ATen.h>

#include <limits>

#include "models/ops/cross_attention.h"
#include "models/ops/op_support.h"
#include "models/ops/self_attention.h"
#include "parallel/upload.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// [tokens, heads * d_kv] -> [heads, tokens, d_kv]
at::Tensor by_head(const at::Tensor& x, std::int64_t heads) {
  return x.view({x.size(0), heads, x.size(1) / heads}).transpose(0, 1);
}

// [heads, tokens, d_kv] -> [tokens, heads * d_kv]
at::Tensor side_by_side(const at::Tensor& x) {
  return x.transpose(0, 1).reshape({x.size(1), x.size(0) * x.size(2)});
}

// Minus infinity where a key comes after the query: [1, length, length].
at::Tensor causal_wall(std::int64_t length, const at::TensorOptions& options) {
  const at::Tensor later = at::ones({length, length}, options.dtype(at::kBool)).triu(1);
  return at::zeros({1, length, length}, options).masked_fill(later, -std::numeric_limits<double>::infinity());
}

// Softmax attention of one row, all [heads, ., d_kv]; key_mask [keys, heads] or undefined.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias,
                  const at::Tensor& key_mask) {
  const at::ScalarType type = detail::compute_type(q);
  at::Tensor scores = at::matmul(q, k.transpose(1, 2)).to(type);
  if (bias.defined()) scores = scores + bias.to(type);
  at::Tensor weights = at::softmax(scores, -1);
  if (key_mask.defined())
    weights = weights * upload(key_mask, weights.device()).to(weights.scalar_type()).t().unsqueeze(1);
  return at::matmul(weights.to(v.scalar_type()), v);
}

}  // namespace

at::Tensor detail::bias_of_pairs(const at::Tensor& table, const RelativeBias& bias, std::int64_t first_query,
                                 std::int64_t queries, std::int64_t keys) {
  if (table.is_meta()) return at::empty({table.size(1), queries, keys}, table.options());
  at::Tensor grid = at::empty({queries, keys}, at::kLong);
  auto* to = grid.mutable_data_ptr<std::int64_t>();
  for (std::int64_t q = 0; q < queries; ++q)
    for (std::int64_t k = 0; k < keys; ++k) *to++ = relative_bucket(k - first_query - q, bias);
  const at::Tensor flat = table.index_select(0, upload(grid.flatten(), table.device()));
  return flat.view({queries, keys, table.size(1)}).permute({2, 0, 1});
}

at::Tensor detail::self_attention_reference(const at::Tensor& qkv, const at::Tensor& bias_table,
                                            const RelativeBias& bias, const RowLayout& layout,
                                            std::int64_t heads, const at::Tensor& key_mask) {
  const at::ScalarType type = compute_type(qkv);
  std::vector<at::Tensor> rows;
  for (std::int64_t row = 0; row < layout.rows(); ++row) {
    const std::int64_t length = layout.length(row);
    if (length == 0) continue;
    const std::vector<at::Tensor> parts = qkv.narrow(0, layout.begin(row), length).chunk(3, 1);
    at::Tensor scores_bias;
    if (bias_table.defined()) scores_bias = bias_of_pairs(bias_table.to(type), bias, 0, length, length);
    if (bias.causal) {
      const at::Tensor wall = causal_wall(length, qkv.options().dtype(type));
      scores_bias = scores_bias.defined() ? scores_bias + wall : wall;
    }
    const at::Tensor mask = key_mask.defined() ? key_mask.narrow(0, layout.begin(row), length) : key_mask;
    rows.push_back(
        side_by_side(attend(by_head(parts[0].contiguous(), heads), by_head(parts[1].contiguous(), heads),
                            by_head(parts[2].contiguous(), heads), scores_bias, mask)));
  }
  if (rows.empty()) return qkv.narrow(1, 0, qkv.size(1) / 3);
  return at::cat(rows);
}

at::Tensor detail::causal_attention_reference(const at::Tensor& qkv, const AttentionHeads& heads,
                                              const RotaryAngles& rotary, const RowLayout& layout) {
  const std::int64_t head_dim = qkv.size(1) / (heads.queries + 2 * heads.keys);
  const std::int64_t inner = heads.queries * head_dim, kv_inner = heads.keys * head_dim;
  const RotaryAngles angles = angles_of_tokens(rotary, layout);
  const auto shared_by_group = [&](const at::Tensor& x) {
    return by_head(x, heads.keys).repeat_interleave(heads.queries / heads.keys, 0);
  };
  const at::Tensor q = rotated_reference(qkv.narrow(1, 0, inner), heads.queries, angles) * heads.scale;
  const at::Tensor k = rotated_reference(qkv.narrow(1, inner, kv_inner), heads.keys, angles);
  const at::Tensor v = qkv.narrow(1, inner + kv_inner, kv_inner).contiguous();
  std::vector<at::Tensor> rows;
  for (std::int64_t row = 0; row < layout.rows(); ++row) {
    const std::int64_t begin = layout.begin(row), length = layout.length(row);
    if (length == 0) continue;
    rows.push_back(side_by_side(attend(by_head(q.narrow(0, begin, length), heads.queries),
                                       shared_by_group(k.narrow(0, begin, length)),
                                       shared_by_group(v.narrow(0, begin, length)),
                                       causal_wall(length, qkv.options().dtype(compute_type(qkv))), {})));
  }
  if (rows.empty()) return qkv.narrow(1, 0, inner);
  return at::cat(rows);
}

at::Tensor detail::cross_attention_reference(const at::Tensor& q, const at::Tensor& encoder,
                                             const at::Tensor& wk, const at::Tensor& wv,
                                             const RowLayout& decoder_layout, const RowLayout& encoder_layout,
                                             std::int64_t heads, const at::Tensor& key_mask) {
  return attend_to_keys_reference(q,
                                  {at::matmul(encoder, wk.t()), at::matmul(encoder, wv.t()), encoder_layout},
                                  decoder_layout, heads, key_mask);
}

at::Tensor detail::attend_to_keys_reference(const at::Tensor& q, const KeysAndValues& seen,
                                            const RowLayout& decoder_layout, std::int64_t heads,
                                            const at::Tensor& key_mask) {
  std::vector<at::Tensor> rows;
  for (std::int64_t row = 0; row < decoder_layout.rows(); ++row) {
    const std::int64_t begin = seen.layout.begin(row);
    const std::int64_t length = seen.layout.length(row);
    if (decoder_layout.length(row) == 0) continue;
    TT_CHECK(length > 0, "row {} has {} decoder tokens and no key", row, decoder_layout.length(row));
    const at::Tensor queries = q.narrow(0, decoder_layout.begin(row), decoder_layout.length(row));
    const at::Tensor mask = key_mask.defined() ? key_mask.narrow(0, begin, length) : key_mask;
    rows.push_back(
        side_by_side(attend(by_head(queries, heads), by_head(seen.keys.narrow(0, begin, length), heads),
                            by_head(seen.values.narrow(0, begin, length), heads), {}, mask)));
  }
  if (rows.empty()) return q;
  return at::cat(rows);
}

}  // namespace trimtab
