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

at::Tensor put_prompts(const at::Tensor& text_td, const RowLayout& text,
                       const std::vector<std::int32_t>& lanes, const InputAdapter* adapter,
                       const std::vector<std::int64_t>& lead) {
  if (!adapter || lanes.empty()) return text_td;
  std::vector<at::Tensor> parts;
  std::vector<std::int64_t> lane_begin;
  std::int64_t prompts = 0;
  const std::int32_t count = 1 + *std::ranges::max_element(lanes);
  for (std::int32_t lane = 0; lane < count; ++lane) {
    lane_begin.push_back(prompts);
    prompts += adapter->positions(lane);
    parts.push_back(adapter->rows(lane).to(text_td.scalar_type()));
  }
  parts.push_back(text_td);
  std::vector<std::int64_t> index;
  for (std::int64_t row = 0; row < text.rows(); ++row) {
    const std::int32_t lane = lanes[static_cast<std::size_t>(row)];
    const std::int64_t front = text.begin(row) + lead[static_cast<std::size_t>(row)];
    for (std::int64_t i = text.begin(row); i < front; ++i) index.push_back(prompts + i);
    for (std::int64_t i = 0; i < adapter->positions(lane); ++i)
      index.push_back(lane_begin[static_cast<std::size_t>(lane)] + i);
    for (std::int64_t i = front; i < text.begin(row + 1); ++i) index.push_back(prompts + i);
  }
  return at::cat(parts).index_select(0, at::tensor(index, at::kLong).to(text_td.device()));
}

}  // namespace trimtab
