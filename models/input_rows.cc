// SPDX-License-Identifier: Apache-2.0
#include "models/input_rows.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace trimtab {

RowLayout with_prompts(const RowLayout& text, const std::vector<std::int32_t>& lanes,
                       const InputAdapter* adapter) {
  if (!adapter) return text;
  std::vector<std::int64_t> extra;
  for (const std::int32_t lane : lanes) extra.push_back(adapter->positions(lane));
  return extended(text, extra);
}

at::Tensor put_lane_rows(const at::Tensor& text_td, const RowLayout& text,
                         const std::vector<std::int32_t>& lanes, const std::vector<at::Tensor>& lane_rows,
                         const std::vector<std::int64_t>& lead) {
  std::vector<at::Tensor> parts;
  std::vector<std::int64_t> lane_begin = {0};
  for (const at::Tensor& rows : lane_rows) {
    parts.push_back(rows.to(text_td.scalar_type()));
    lane_begin.push_back(lane_begin.back() + rows.size(0));
  }
  parts.push_back(text_td);
  const std::int64_t all_lanes = lane_begin.back();
  std::vector<std::int64_t> index;
  for (std::int64_t row = 0; row < text.rows(); ++row) {
    const auto lane = static_cast<std::size_t>(lanes[static_cast<std::size_t>(row)]);
    const std::int64_t front = text.begin(row) + lead[static_cast<std::size_t>(row)];
    for (std::int64_t i = text.begin(row); i < front; ++i) index.push_back(all_lanes + i);
    for (std::int64_t i = lane_begin[lane]; i < lane_begin[lane + 1]; ++i) index.push_back(i);
    for (std::int64_t i = front; i < text.begin(row + 1); ++i) index.push_back(all_lanes + i);
  }
  return at::cat(parts).index_select(0, at::tensor(index, at::kLong).to(text_td.device()));
}

at::Tensor put_prompts(const at::Tensor& text_td, const RowLayout& text,
                       const std::vector<std::int32_t>& lanes, const InputAdapter* adapter,
                       const std::vector<std::int64_t>& lead) {
  if (!adapter || lanes.empty()) return text_td;
  // Of many prompts that are there, a micro-batch uses a few.
  std::vector<std::int32_t> used = lanes;
  std::ranges::sort(used);
  used.erase(std::unique(used.begin(), used.end()), used.end());
  std::vector<at::Tensor> lane_rows;
  for (const std::int32_t lane : used) lane_rows.push_back(adapter->rows(lane));
  std::vector<std::int32_t> place;
  for (const std::int32_t lane : lanes)
    place.push_back(static_cast<std::int32_t>(std::ranges::lower_bound(used, lane) - used.begin()));
  return put_lane_rows(text_td, text, place, lane_rows, lead);
}

}  // namespace trimtab
