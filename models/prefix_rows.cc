// SPDX-License-Identifier: Apache-2.0
#include "models/prefix_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>

#include "models/input_rows.h"
#include "parallel/upload.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// In front of each row of x what `rows` has for its lane.
at::Tensor in_front(const at::Tensor& x, const RowLayout& layout, const std::vector<std::int32_t>& lanes,
                    const std::function<at::Tensor(std::int32_t)>& rows) {
  std::vector<at::Tensor> lane_rows;
  const std::int32_t count = lanes.empty() ? 0 : 1 + *std::ranges::max_element(lanes);
  for (std::int32_t lane = 0; lane < count; ++lane) lane_rows.push_back(rows(lane));
  return put_lane_rows(x, layout, lanes, lane_rows, {{}}, std::vector<std::int64_t>(lanes.size(), 0));
}

}  // namespace

RowLayout with_prefix(const RowLayout& layout, const std::vector<std::int32_t>& lanes,
                      const KeyValueAdapter* adapter) {
  if (!adapter) return layout;
  std::vector<std::int64_t> extra;
  for (const std::int32_t lane : lanes) extra.push_back(adapter->positions(lane));
  return extended(layout, extra);
}

at::Tensor put_prefix(const at::Tensor& qkv, const RowLayout& layout, const std::vector<std::int32_t>& lanes,
                      const KeyValueAdapter& adapter) {
  return in_front(qkv, layout, lanes, [&](std::int32_t lane) {
    const at::Tensor keys = adapter.keys(lane), values = adapter.values(lane);
    const std::int64_t queries = qkv.size(1) - keys.size(1) - values.size(1);
    return at::cat({at::zeros({keys.size(0), queries}, keys.options()), keys, values}, 1);
  });
}

at::Tensor last_positions(const at::Tensor& x, const RowLayout& layout, const RowLayout& prefixed) {
  at::Tensor index = at::empty({layout.tokens()}, at::kLong);
  auto* to = index.mutable_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    for (std::int64_t i = layout.length(row); i > 0; --i) *to++ = prefixed.begin(row + 1) - i;
  return x.index_select(0, upload(index, x.device()));
}

KeysAndValues put_prefix(const KeysAndValues& of_tokens, const std::vector<std::int32_t>& lanes,
                         const KeyValueAdapter& adapter) {
  return {in_front(of_tokens.keys, of_tokens.layout, lanes,
                   [&](std::int32_t lane) { return adapter.keys(lane); }),
          in_front(of_tokens.values, of_tokens.layout, lanes,
                   [&](std::int32_t lane) { return adapter.values(lane); }),
          with_prefix(of_tokens.layout, lanes, &adapter)};
}

void put_prefix(KvCache& cache, const std::vector<std::int32_t>& lanes, const KeyValueAdapter& adapter) {
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    const std::int64_t positions = adapter.positions(lanes[i]);
    TT_CHECK(cache.lengths[i] == 0 && positions <= cache.keys.size(1),
             "row {} of the key-value cache has no room for a prefix of {}", i, positions);
    cache.keys[row].narrow(0, 0, positions).copy_(adapter.keys(lanes[i]));
    cache.values[row].narrow(0, 0, positions).copy_(adapter.values(lanes[i]));
    cache.lengths[i] = positions;
  }
}

}  // namespace trimtab
