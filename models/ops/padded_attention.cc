// SPDX-License-Identifier: Apache-2.0
//
// Attention by LibTorch's own kernels, for which rows are padded to the longest, here and nowhere else. What
// keeps a query from padded keys is one more column of the heads, 1 in queries and far below zero in padded
// keys, so that the bias is one matrix a head for all rows.
#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "models/ops/device_attention.h"
#include "models/ops/op_support.h"
#include "parallel/upload.h"

namespace trimtab {
namespace {

constexpr std::int64_t kMoreColumns = 8;  // the kernels want widths that are multiples of it
constexpr double kFarBelow = -30'000.0;   // leaves a weight of exactly 0

// The tokens of rows side by side in [rows, longest]: beyond a row's end its last token again.
struct Padding {
  Padding(const RowLayout& layout, const std::vector<std::int64_t>& rows)
      : count(static_cast<std::int64_t>(rows.size())) {
    for (const std::int64_t row : rows) longest = std::max(longest, layout.length(row));
    at::Tensor index = at::empty({count * longest}, at::kLong);
    at::Tensor beyond = at::empty({count * longest}, at::kBool);
    auto* to = index.mutable_data_ptr<std::int64_t>();
    auto* past = beyond.mutable_data_ptr<bool>();
    for (const std::int64_t row : rows)
      for (std::int64_t i = 0; i < longest; ++i) {
        *to++ = layout.begin(row) + std::min(i, layout.length(row) - 1);
        *past++ = i >= layout.length(row);
        uneven = uneven || i >= layout.length(row);
      }
    token = index;
    is_padding = beyond;
  }
  // x [tokens, heads * width] -> [rows, heads, longest, width]
  at::Tensor operator()(const at::Tensor& x, std::int64_t heads) const {
    const at::Tensor all = x.index_select(0, upload(token, x.device()));
    return all.view({count, longest, heads, x.size(1) / heads}).transpose(1, 2);
  }
  // [rows, heads, longest, width] -> [tokens, heads * width]
  at::Tensor back(const at::Tensor& x) const {
    const at::Tensor flat = x.transpose(1, 2).reshape({count * longest, x.size(1) * x.size(3)});
    return uneven ? flat.index_select(0, upload(is_padding.logical_not().nonzero().flatten(), x.device()))
                  : flat;
  }

  std::int64_t count, longest = 0;
  bool uneven = false;
  at::Tensor token, is_padding;  // [rows * longest], on the host
};

// One more column in each head of all tokens.
at::Tensor with_column(const at::Tensor& x, const at::Tensor& column) {
  const at::Tensor more = at::constant_pad_nd(column, {0, kMoreColumns - 1});
  return at::cat({x, more.expand({x.size(0), x.size(1), x.size(2), kMoreColumns})}, 3);
}

// The bias of every query and key, [1, heads, queries, keys]: rows of keys begin at multiples of 16 elements,
// as the kernels want them.
at::Tensor bias_of_all(const detail::DeviceAttention& r, std::int64_t queries, std::int64_t keys) {
  const at::Device device = r.q.device();
  const std::int64_t reach = std::max(queries, keys);
  at::Tensor buckets = at::empty({2 * reach - 1}, at::kLong);
  for (std::int64_t i = 0; i < 2 * reach - 1; ++i)
    buckets.mutable_data_ptr<std::int64_t>()[i] = relative_bucket(i - (reach - 1), r.bias);
  const at::TensorOptions on_device = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor key = at::arange((keys + 15) / 16 * 16, on_device).clamp_max(keys - 1).unsqueeze(0);
  const at::Tensor distance = key - at::arange(queries, on_device).unsqueeze(1);
  const at::Tensor by_distance = r.table.to(r.q.scalar_type()).index_select(0, upload(buckets, device));
  at::Tensor bias = by_distance.index_select(0, (distance + (reach - 1)).flatten())
                        .view({queries, key.size(1), r.heads.queries})
                        .permute({2, 0, 1})
                        .contiguous();
  if (r.causal) bias = bias.masked_fill((distance > 0).unsqueeze(0), kFarBelow);
  return bias.unsqueeze(0).narrow(3, 0, keys);
}

}  // namespace

at::Tensor detail::padded_attention(const DeviceAttention& r) {
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < r.queries.rows(); ++row)
    if (r.queries.length(row) > 0) rows.push_back(row);
  at::Tensor first = r.q, second = r.k, third = r.v;
  if (!r.k.defined()) {
    const std::int64_t width = r.q.size(1) / (r.heads.queries + 2 * r.heads.keys);
    first = r.q.narrow(1, 0, r.heads.queries * width);
    second = r.q.narrow(1, r.heads.queries * width, r.heads.keys * width);
    third = r.q.narrow(1, (r.heads.queries + r.heads.keys) * width, r.heads.keys * width);
  }
  if (rows.empty()) return first;
  // A weight times the dropout of its key is the weight of a value times that.
  if (r.key_mask.defined()) {
    const at::Tensor mask = upload(r.key_mask, third.device()).unsqueeze(2);
    third = (third.view({third.size(0), r.heads.keys, -1}).to(compute_type(third)) * mask)
                .to(third.scalar_type())
                .reshape(third.sizes());
  }
  const Padding of_queries(r.queries, rows), of_keys(r.keys, rows);
  const auto shared = [&](const at::Tensor& x) {
    const std::int64_t group = r.heads.queries / r.heads.keys;
    return group == 1 ? x : x.repeat_interleave(group, 1);
  };
  at::Tensor q = of_queries(first, r.heads.queries), k = shared(of_keys(second, r.heads.keys));
  const at::Tensor v = shared(of_keys(third, r.heads.keys));
  at::Tensor bias;
  if (r.table.defined()) bias = bias_of_all(r, of_queries.longest, of_keys.longest);
  // Padded keys come after all that a query sees where it sees none that come later.
  if (of_keys.uneven && !r.causal) {
    const at::Tensor column = upload(of_keys.is_padding, q.device()).to(q.scalar_type()) * kFarBelow;
    q = with_column(q, at::ones({1, 1, 1, 1}, q.options()));
    k = with_column(k, column.view({of_keys.count, 1, of_keys.longest, 1}));
  }
  const std::optional<at::Tensor> mask = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  return of_queries.back(
      at::scaled_dot_product_attention(q, k, v, mask, 0.0, r.causal && !bias.defined(), r.heads.scale));
}

}  // namespace trimtab
