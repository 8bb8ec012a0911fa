// SPDX-License-Identifier: Apache-2.0
#include "models/input_rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "parallel/upload.h"
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

namespace {

// Where each position comes from: the i-th of the rows of all lanes behind each other is i, and token t of
// the text is lane_begin.back() + t.
std::vector<std::int64_t> sources(const RowLayout& text, const std::vector<std::int32_t>& lanes,
                                  const std::vector<std::int64_t>& lane_begin,
                                  const std::vector<PromptPlace>& places,
                                  const std::vector<std::int64_t>& inputs) {
  std::vector<std::vector<std::int64_t>> counts;  // of each lane at each place
  for (std::size_t lane = 0; lane + 1 < lane_begin.size(); ++lane)
    counts.push_back(rows_of_places(places, lane_begin[lane + 1] - lane_begin[lane]));
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
  return index;
}

at::Tensor picked(const std::vector<at::Tensor>& parts, const std::vector<std::int64_t>& index) {
  return at::cat(parts).index_select(0, upload(at::tensor(index, at::kLong), parts.front().device()));
}

// The lanes of a micro-batch: of many prompts that are there, it uses a few.
struct UsedLanes {
  UsedLanes(const std::vector<std::int32_t>& lanes, const InputAdapter& adapter) : used(lanes) {
    std::ranges::sort(used);
    used.erase(std::unique(used.begin(), used.end()), used.end());
    for (const std::int32_t lane : lanes)
      place.push_back(static_cast<std::int32_t>(std::ranges::lower_bound(used, lane) - used.begin()));
    for (const std::int32_t lane : used) begin.push_back(begin.back() + adapter.positions(lane));
  }
  std::vector<at::Tensor> rows(const InputAdapter& adapter) const {
    std::vector<at::Tensor> all;
    for (const std::int32_t lane : used) all.push_back(adapter.rows(lane));
    return all;
  }

  std::vector<std::int32_t> used;         // sorted
  std::vector<std::int32_t> place;        // of each row's lane among them
  std::vector<std::int64_t> begin = {0};  // of each one's positions, and their number
};

}  // namespace

at::Tensor put_lane_rows(const at::Tensor& text_td, const RowLayout& text,
                         const std::vector<std::int32_t>& lanes, const std::vector<at::Tensor>& lane_rows,
                         const std::vector<PromptPlace>& places, const std::vector<std::int64_t>& inputs) {
  std::vector<at::Tensor> parts;
  std::vector<std::int64_t> lane_begin = {0};
  for (const at::Tensor& rows : lane_rows) {
    parts.push_back(rows.to(text_td.scalar_type()));
    lane_begin.push_back(lane_begin.back() + rows.size(0));
  }
  parts.push_back(text_td);
  return picked(parts, sources(text, lanes, lane_begin, places, inputs));
}

at::Tensor put_prompts(const at::Tensor& text_td, const RowLayout& text,
                       const std::vector<std::int32_t>& lanes, const InputAdapter* adapter,
                       const std::vector<std::int64_t>& inputs) {
  if (!adapter || lanes.empty()) return text_td;
  const UsedLanes used(lanes, *adapter);
  return put_lane_rows(text_td, text, used.place, used.rows(*adapter), adapter->places(), inputs);
}

at::Tensor with_gaps(const at::Tensor& part_td, const RowLayout& text, const std::vector<std::int32_t>& lanes,
                     const InputAdapter* adapter, const std::vector<std::int64_t>& inputs) {
  if (!adapter || lanes.empty()) return part_td;
  const UsedLanes used(lanes, *adapter);
  std::vector<std::int64_t> index = sources(text, used.place, used.begin, adapter->places(), inputs);
  for (std::int64_t& from : index)
    from = from < used.begin.back() ? part_td.size(0) : from - used.begin.back();
  return picked({part_td, at::zeros({1, part_td.size(1)}, part_td.options().requires_grad(false))}, index);
}

at::Tensor fill_gaps(const at::Tensor& x_td, const RowLayout& text, const std::vector<std::int32_t>& lanes,
                     const InputAdapter* adapter, const std::vector<std::int64_t>& inputs,
                     const TokenSplit& tokens) {
  if (!adapter || lanes.empty()) return x_td;
  const UsedLanes used(lanes, *adapter);
  const std::vector<std::int64_t> all = sources(text, used.place, used.begin, adapter->places(), inputs);
  std::vector<std::int64_t> index;
  for (std::int64_t own = 0; own < tokens.share().count; ++own) {
    const std::int64_t from = all[static_cast<std::size_t>(tokens.share().begin + own)];
    index.push_back(from < used.begin.back() ? from : used.begin.back() + own);
  }
  return picked({tokens.weight(at::cat(used.rows(*adapter))).to(x_td.scalar_type()), x_td}, index);
}

}  // namespace trimtab
