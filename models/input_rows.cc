// SPDX-License-Identifier: Apache-2.0
#include "models/input_rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {

RowLayout with_prompts(const RowLayout& text, const std::vector<std::int32_t>& lanes,
                       const InputAdapter* adapter) {
  if (!adapter) return text;
  std::vector<std::int64_t> extra;
  for (const std::int32_t lane : lanes) extra.push_back(adapter->positions(lane));
  return extended(text, extra);
}

std::vector<std::int64_t> rows_of_places(const std::vector<PromptPlace>& places, std::int64_t rows) {
  std::int64_t left = rows, sharing = 0;
  for (const PromptPlace& place : places) {
    if (place.rows < 0) ++sharing;
    left -= std::max<std::int64_t>(place.rows, 0);
  }
  if (left < 0 || (left > 0 && sharing == 0))
    fail_config("text.template: its places for trained positions hold {}, but there are {}", rows - left,
                rows);
  std::vector<std::int64_t> out;
  for (std::int64_t shared = 0; const PromptPlace& place : places) {
    if (place.rows >= 0) {
      out.push_back(place.rows);
      continue;
    }
    out.push_back(left / sharing + (shared < left % sharing ? 1 : 0));
    ++shared;
  }
  return out;
}

at::Tensor put_lane_rows(const at::Tensor& text_td, const RowLayout& text,
                         const std::vector<std::int32_t>& lanes, const std::vector<at::Tensor>& lane_rows,
                         const std::vector<PromptPlace>& places, const std::vector<std::int64_t>& inputs) {
  std::vector<at::Tensor> parts;
  std::vector<std::int64_t> lane_begin = {0};
  std::vector<std::vector<std::int64_t>> counts;  // of each lane at each place
  for (const at::Tensor& rows : lane_rows) {
    parts.push_back(rows.to(text_td.scalar_type()));
    lane_begin.push_back(lane_begin.back() + rows.size(0));
    counts.push_back(rows_of_places(places, rows.size(0)));
  }
  parts.push_back(text_td);
  std::vector<std::int64_t> index;
  for (std::int64_t row = 0; row < text.rows(); ++row) {
    const auto lane = static_cast<std::size_t>(lanes[static_cast<std::size_t>(row)]);
    const std::int64_t input = inputs[static_cast<std::size_t>(row)];
    std::int64_t token = text.begin(row), of_lane = lane_begin[lane];
    const auto take_text = [&](std::int64_t to) {
      for (; token < to; ++token) index.push_back(lane_begin.back() + token);
    };
    for (std::size_t place = 0; place < places.size(); ++place) {
      const std::int64_t before =
          places[place].from_end ? input - places[place].tokens : places[place].tokens;
      take_text(text.begin(row) + std::clamp<std::int64_t>(before, 0, std::max<std::int64_t>(input - 1, 0)));
      for (const std::int64_t to = of_lane + counts[lane][place]; of_lane < to; ++of_lane)
        index.push_back(of_lane);
    }
    take_text(text.begin(row + 1));
  }
  return at::cat(parts).index_select(0, at::tensor(index, at::kLong).to(text_td.device()));
}

at::Tensor put_prompts(const at::Tensor& text_td, const RowLayout& text,
                       const std::vector<std::int32_t>& lanes, const InputAdapter* adapter,
                       const std::vector<std::int64_t>& inputs) {
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
  return put_lane_rows(text_td, text, place, lane_rows, adapter->places(), inputs);
}

}  // namespace trimtab
