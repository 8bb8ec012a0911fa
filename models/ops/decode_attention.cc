// SPDX-License-Identifier: Apache-2.0
#include "models/ops/decode_attention.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "models/ops/attention_core.h"
#include "models/ops/op_support.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Attention of one query [inner] to keys and values [n, inner]; bias [heads, n] or undefined. For types and
// devices that the kernels do not know.
at::Tensor attend_one(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                      const at::Tensor& bias, std::int64_t heads) {
  const at::ScalarType type = detail::compute_type(query);
  const at::Tensor k = keys.view({keys.size(0), heads, -1});
  at::Tensor scores = (query.view({1, heads, -1}).to(type) * k.to(type)).sum(2);
  if (bias.defined()) scores = scores + bias.to(type).t();
  const at::Tensor weights = at::softmax(scores, 0).unsqueeze(2);
  return (weights * values.view_as(k).to(type)).sum(0).flatten().to(query.scalar_type());
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

at::Tensor composite_step(const at::Tensor& q, const KvCache& cache, const at::Tensor& bias_table,
                          const RelativeBias& bias, std::int64_t heads) {
  at::Tensor out = at::empty_like(q, at::MemoryFormat::Contiguous);
  for (std::int64_t row = 0; row < q.size(0); ++row) {
    const std::int64_t count = cache.lengths[static_cast<std::size_t>(row)];
    at::Tensor row_bias;
    if (bias_table.defined()) {
      const at::Tensor table = bias_table.detach().to(at::kCPU, at::kFloat);
      row_bias = detail::bias_by_distance(table, bias, count).narrow(1, 0, count).to(q.device());
    }
    out[row].copy_(attend_one(q[row], cache.keys[row].narrow(0, 0, count),
                              cache.values[row].narrow(0, 0, count), row_bias, heads));
  }
  return out;
}

}  // namespace

KvCache::KvCache(std::int64_t rows, std::int64_t max_steps, std::int64_t inner,
                 const at::TensorOptions& options)
    : keys(at::zeros({rows, max_steps, inner}, options)),
      values(at::zeros({rows, max_steps, inner}, options)),
      lengths(static_cast<std::size_t>(rows), 0) {}

CrossCache::CrossCache(const at::Tensor& encoder, const at::Tensor& wk, const at::Tensor& wv,
                       const RowLayout& encoder_layout)
    : keys(at::matmul(encoder.detach(), wk.detach().t())),
      values(at::matmul(encoder.detach(), wv.detach().t())),
      layout(encoder_layout) {}

at::Tensor self_attention_step(const at::Tensor& qkv_new, KvCache& cache, const at::Tensor& bias_table,
                               const RelativeBias& bias, std::int64_t heads) {
  const c10::NoGradGuard no_grad;
  const auto rows = static_cast<std::int64_t>(cache.lengths.size());
  const std::int64_t inner = cache.keys.size(2);
  const std::int64_t max_steps = cache.keys.size(1);
  TT_CHECK(qkv_new.size(0) == rows && qkv_new.size(1) == 3 * inner,
           "new tokens [{}, {}] for a cache of [{}, 3 * {}]", qkv_new.size(0), qkv_new.size(1), rows, inner);
  std::int64_t longest = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t& length = cache.lengths[static_cast<std::size_t>(row)];
    TT_CHECK(length < max_steps, "row {} of the key-value cache is full: {} steps", row, length);
    cache.keys[row][length].copy_(qkv_new[row].narrow(0, inner, inner));
    cache.values[row][length].copy_(qkv_new[row].narrow(0, 2 * inner, inner));
    longest = std::max(longest, ++length);
  }
  const at::Tensor q = qkv_new.narrow(1, 0, inner);
  if (!detail::is_fused(qkv_new) || (bias_table.defined() && !detail::is_fused(bias_table)))
    return composite_step(q, cache, bias_table, bias, heads);
  at::Tensor distance_bias;
  if (bias_table.defined()) distance_bias = detail::bias_by_distance(bias_table.detach(), bias, longest);
  const auto* bias_data = detail::data_or_null(distance_bias);
  const at::Tensor dense = q.contiguous();
  at::Tensor out = at::empty_like(dense);
  const std::int64_t width = inner / heads;
  for_heads(rows, heads, longest, [&](std::int64_t row, std::int64_t head, float* scratch) {
    const std::int64_t count = cache.lengths[static_cast<std::size_t>(row)];
    const std::int64_t at = row * inner + head * width;
    detail::HeadInput in =
        one_query(cache.keys, cache.values, row * max_steps * inner + head * width, count, inner, width);
    in.q = {dense.const_data_ptr<float>() + at, inner};
    // The query stands at the last position: key k is k - (count - 1) away.
    if (bias_data) in.bias = bias_data + head * (2 * longest - 1) + (longest - 1) - (count - 1);
    float log_sum = 0.0f;
    detail::head_forward(in, {out.mutable_data_ptr<float>() + at, inner}, &log_sum, scratch);
  });
  return out;
}

at::Tensor cross_attention_step(const at::Tensor& q, const CrossCache& cache, std::int64_t heads) {
  const c10::NoGradGuard no_grad;
  const RowLayout& layout = cache.layout;
  TT_CHECK(q.size(0) == layout.rows(), "{} new tokens for a cache of {} rows", q.size(0), layout.rows());
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    TT_CHECK(layout.length(row) > 0, "row {} has no encoder token", row);
  const std::int64_t inner = q.size(1);
  const at::Tensor dense = q.contiguous();
  at::Tensor out = at::empty_like(dense);
  if (!detail::is_fused(q) || !detail::is_fused(cache.keys)) {
    for (std::int64_t row = 0; row < layout.rows(); ++row)
      out[row].copy_(attend_one(dense[row], cache.keys.narrow(0, layout.begin(row), layout.length(row)),
                                cache.values.narrow(0, layout.begin(row), layout.length(row)), {}, heads));
    return out;
  }
  const std::int64_t width = inner / heads;
  for_heads(layout.rows(), heads, layout.longest(), [&](std::int64_t row, std::int64_t head, float* scratch) {
    const std::int64_t at = row * inner + head * width;
    detail::HeadInput in = one_query(cache.keys, cache.values, layout.begin(row) * inner + head * width,
                                     layout.length(row), inner, width);
    in.q = {dense.const_data_ptr<float>() + at, inner};
    float log_sum = 0.0f;
    detail::head_forward(in, {out.mutable_data_ptr<float>() + at, inner}, &log_sum, scratch);
  });
  return out;
}

}  // namespace trimtab
