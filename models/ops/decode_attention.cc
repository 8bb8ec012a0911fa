// SPDX-License-Identifier: Apache-2.0
#include "models/ops/decode_attention.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "models/ops/attention_core.h"
#include "models/ops/op_support.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Attention of one query [heads.queries * d] to keys and values [n, heads.keys * d]; bias [heads, n] or
// undefined. For types and devices that the kernels do not know.
at::Tensor attend_one(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                      const at::Tensor& bias, const AttentionHeads& heads) {
  const at::ScalarType type = detail::compute_type(query);
  const auto by_head = [&](const at::Tensor& x) {
    return x.view({x.size(0), heads.keys, -1}).to(type).repeat_interleave(heads.queries / heads.keys, 1);
  };
  at::Tensor scores = (query.reshape({1, heads.queries, -1}).to(type) * by_head(keys)).sum(2) * heads.scale;
  if (bias.defined()) scores = scores + bias.to(type).t();
  const at::Tensor weights = at::softmax(scores, 0).unsqueeze(2);
  return (weights * by_head(values)).sum(0).flatten().to(query.scalar_type());
}

// One query of one head, where keys and values of a row begin at `at` floats into dense [., inner] tensors.
detail::HeadInput one_query(const at::Tensor& keys, const at::Tensor& values, std::int64_t at,
                            std::int64_t count, std::int64_t inner, std::int64_t width) {
  detail::HeadInput in = {};
  in.k = {keys.const_data_ptr<float>() + at, inner};
  in.v = {values.const_data_ptr<float>() + at, inner};
  in.queries = 1;
  in.keys = count;
  in.width = width;
  return in;
}

// body(row, head, scratch) for all.
template <typename Body>
void for_heads(std::int64_t rows, std::int64_t heads, std::int64_t longest, const Body& body) {
  const std::int64_t space = detail::head_scratch(1, longest);
  const at::Tensor scratch = at::empty({at::get_num_threads(), space}, at::kFloat);
  auto* spaces = scratch.mutable_data_ptr<float>();
  detail::for_units(rows * heads, [&](std::int64_t unit, std::int64_t thread) {
    body(unit / heads, unit % heads, spaces + thread * space);
  });
}

// Appends one token a row; the longest row afterwards.
std::int64_t append(KvCache& cache, const at::Tensor& keys, const at::Tensor& values) {
  std::int64_t longest = 0;
  for (std::size_t row = 0; row < cache.lengths.size(); ++row) {
    std::int64_t& length = cache.lengths[row];
    TT_CHECK(length < cache.keys.size(1), "row {} of the key-value cache is full: {} steps", row, length);
    const auto at = static_cast<std::int64_t>(row);
    cache.keys[at][length].copy_(keys[at]);
    cache.values[at][length].copy_(values[at]);
    longest = std::max(longest, ++length);
  }
  return longest;
}

at::Tensor composite_step(const at::Tensor& q, const KvCache& cache, const at::Tensor& bias_table,
                          const RelativeBias& bias, const AttentionHeads& heads) {
  at::Tensor out = at::empty_like(q, at::MemoryFormat::Contiguous);
  for (std::int64_t row = 0; row < q.size(0); ++row) {
    const std::int64_t count = cache.lengths[static_cast<std::size_t>(row)];
    at::Tensor row_bias;
    if (bias_table.defined())
      row_bias = detail::bias_of_pairs(bias_table, bias, count - 1, 1, count).squeeze(1);
    out[row].copy_(attend_one(q[row], cache.keys[row].narrow(0, 0, count),
                              cache.values[row].narrow(0, 0, count), row_bias, heads));
  }
  return out;
}

// The newest token of each row against its whole row; distance_bias [heads, 2 * longest - 1] or undefined.
at::Tensor fused_step(const at::Tensor& q, const KvCache& cache, const at::Tensor& distance_bias,
                      const AttentionHeads& heads, std::int64_t longest) {
  const at::Tensor dense = q.contiguous();
  at::Tensor out = at::empty_like(dense);
  const std::int64_t inner = q.size(1), width = inner / heads.queries;
  const std::int64_t kv_inner = cache.keys.size(2), max_steps = cache.keys.size(1);
  const auto* bias_data = detail::data_or_null(distance_bias);
  for_heads(q.size(0), heads.queries, longest, [&](std::int64_t row, std::int64_t head, float* scratch) {
    const std::int64_t count = cache.lengths[static_cast<std::size_t>(row)];
    const std::int64_t at = row * inner + head * width;
    const std::int64_t key_head = head / (heads.queries / heads.keys);
    detail::HeadInput in = one_query(cache.keys, cache.values, row * max_steps * kv_inner + key_head * width,
                                     count, kv_inner, width);
    in.q = {dense.const_data_ptr<float>() + at, inner};
    // The query stands at the last position: key k is k - (count - 1) away.
    if (bias_data) in.bias = bias_data + head * (2 * longest - 1) + (longest - 1) - (count - 1);
    float log_sum = 0.0f;
    detail::head_forward(in, {out.mutable_data_ptr<float>() + at, inner}, &log_sum, scratch);
  });
  return out;
}

// One token's columns [queries | keys | values] apart.
struct Parts {
  Parts(const at::Tensor& qkv, const AttentionHeads& heads) {
    const std::int64_t head_dim = qkv.size(1) / (heads.queries + 2 * heads.keys);
    const std::int64_t inner = heads.queries * head_dim, kv_inner = heads.keys * head_dim;
    q = qkv.narrow(1, 0, inner);
    k = qkv.narrow(1, inner, kv_inner);
    v = qkv.narrow(1, inner + kv_inner, kv_inner);
  }
  at::Tensor q, k, v;
};

// Behind what each row of the cache has.
void append_rows(KvCache& cache, const at::Tensor& keys, const at::Tensor& values, const RowLayout& layout) {
  for (std::int64_t row = 0; row < layout.rows(); ++row) {
    std::int64_t& used = cache.lengths[static_cast<std::size_t>(row)];
    const std::int64_t begin = layout.begin(row), length = layout.length(row);
    TT_CHECK(used + length <= cache.keys.size(1), "row {} of the key-value cache has no room for {} tokens",
             row, length);
    cache.keys[row].narrow(0, used, length).copy_(keys.narrow(0, begin, length));
    cache.values[row].narrow(0, used, length).copy_(values.narrow(0, begin, length));
    used += length;
  }
}

void check_new_tokens(const at::Tensor& qkv, const KvCache& cache, const AttentionHeads& heads,
                      std::int64_t tokens) {
  const std::int64_t kv_inner = cache.keys.size(2);
  TT_CHECK(qkv.size(0) == tokens && kv_inner % heads.keys == 0 &&
               qkv.size(1) == kv_inner / heads.keys * (heads.queries + 2 * heads.keys),
           "new tokens [{}, {}] for a cache of {} tokens with {} heads of queries and keys of width {}",
           qkv.size(0), qkv.size(1), tokens, heads.queries, kv_inner);
}

}  // namespace

KvCache::KvCache(std::int64_t rows, std::int64_t max_steps, std::int64_t inner,
                 const at::TensorOptions& options)
    : keys(at::zeros({rows, max_steps, inner}, options)),
      values(at::zeros({rows, max_steps, inner}, options)),
      lengths(static_cast<std::size_t>(rows), 0) {}

void KvCache::rewind(std::int64_t tokens) {
  for (std::int64_t& length : lengths) {
    TT_CHECK(0 <= tokens && tokens <= length, "{} tokens back in a row of {}", tokens, length);
    length -= tokens;
  }
}

at::Tensor self_attention_step(const at::Tensor& qkv_new, KvCache& cache, const at::Tensor& bias_table,
                               const RelativeBias& bias, std::int64_t heads_of_all) {
  const c10::NoGradGuard no_grad;
  const AttentionHeads heads{heads_of_all, heads_of_all, 1.0};
  check_new_tokens(qkv_new, cache, heads, static_cast<std::int64_t>(cache.lengths.size()));
  const Parts parts(qkv_new, heads);
  const std::int64_t longest = append(cache, parts.k, parts.v);
  if (!detail::is_fused(qkv_new) || (bias_table.defined() && !detail::is_fused(bias_table)))
    return composite_step(parts.q, cache, bias_table, bias, heads);
  at::Tensor distance_bias;
  if (bias_table.defined()) distance_bias = detail::bias_by_distance(bias_table.detach(), bias, longest);
  return fused_step(parts.q, cache, distance_bias, heads, longest);
}

void extend_cache(KvCache& cache, const at::Tensor& qkv, std::int64_t heads_of_all, const RowLayout& layout) {
  const c10::NoGradGuard no_grad;
  const AttentionHeads heads{heads_of_all, heads_of_all, 1.0};
  check_new_tokens(qkv, cache, heads, layout.tokens());
  const Parts parts(qkv, heads);
  append_rows(cache, parts.k, parts.v, layout);
}

void fill_cache(KvCache& cache, const at::Tensor& qkv, const AttentionHeads& heads,
                const RotaryAngles& rotary, const RowLayout& layout) {
  const c10::NoGradGuard no_grad;
  check_new_tokens(qkv, cache, heads, layout.tokens());
  const Parts parts(qkv, heads);
  const at::Tensor keys =
      detail::rotated_reference(parts.k, heads.keys, detail::angles_of_tokens(rotary, layout));
  TT_CHECK(std::ranges::all_of(cache.lengths, [](std::int64_t used) { return used == 0; }),
           "positions are counted from the beginning of a row");
  append_rows(cache, keys, parts.v, layout);
}

at::Tensor causal_attention_step(const at::Tensor& qkv_new, KvCache& cache, const AttentionHeads& heads,
                                 const RotaryAngles& rotary) {
  const c10::NoGradGuard no_grad;
  check_new_tokens(qkv_new, cache, heads, static_cast<std::int64_t>(cache.lengths.size()));
  const Parts parts(qkv_new, heads);
  const at::Tensor q = detail::rotated_reference(parts.q, heads.queries, rotary);
  const std::int64_t longest = append(cache, detail::rotated_reference(parts.k, heads.keys, rotary), parts.v);
  if (!detail::is_fused(qkv_new)) return composite_step(q, cache, {}, {}, heads);
  return fused_step(q * heads.scale, cache, {}, heads, longest);
}

at::Tensor cross_attention_step(const at::Tensor& q, const KeysAndValues& seen, std::int64_t heads) {
  const c10::NoGradGuard no_grad;
  const RowLayout& layout = seen.layout;
  TT_CHECK(seen.keys.is_contiguous() && seen.values.is_contiguous(),
           "keys and values lie inside other tensors");
  TT_CHECK(q.size(0) == layout.rows(), "{} new tokens for keys of {} rows", q.size(0), layout.rows());
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    TT_CHECK(layout.length(row) > 0, "row {} has no key", row);
  const std::int64_t inner = q.size(1);
  const at::Tensor dense = q.contiguous();
  at::Tensor out = at::empty_like(dense);
  if (!detail::is_fused(q) || !detail::is_fused(seen.keys)) {
    for (std::int64_t row = 0; row < layout.rows(); ++row)
      out[row].copy_(attend_one(dense[row], seen.keys.narrow(0, layout.begin(row), layout.length(row)),
                                seen.values.narrow(0, layout.begin(row), layout.length(row)), {},
                                {heads, heads, 1.0}));
    return out;
  }
  const std::int64_t width = inner / heads;
  for_heads(layout.rows(), heads, layout.longest(), [&](std::int64_t row, std::int64_t head, float* scratch) {
    const std::int64_t at = row * inner + head * width;
    detail::HeadInput in = one_query(seen.keys, seen.values, layout.begin(row) * inner + head * width,
                                     layout.length(row), inner, width);
    in.q = {dense.const_data_ptr<float>() + at, inner};
    float log_sum = 0.0f;
    detail::head_forward(in, {out.mutable_data_ptr<float>() + at, inner}, &log_sum, scratch);
  });
  return out;
}

}  // namespace trimtab
