// SPDX-License-Identifier: Apache-2.0
//
// The rows of one step, or a part of them, as plain vectors: token-major ids with offsets, never padded. The
// floors above turn them into tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/tokenizer.h"

namespace trimtab {

struct Batch {
  std::vector<TokenId> input_ids;
  std::vector<std::int64_t> input_offsets{0};  // rows + 1
  std::vector<TokenId> target_ids;
  std::vector<std::int64_t> target_offsets{0};  // rows + 1
  // Index of each row in the global batch of its step. Random draws for a row are keyed by it, so that they
  // depend neither on the replica nor on the micro-batch that computes the row.
  std::vector<std::uint64_t> samples;
  std::vector<std::size_t> examples;  // where the row came from, for the caller's lists
  std::vector<std::int32_t> lanes;    // the prompt that the row goes through

  std::size_t rows() const { return samples.size(); }
  std::int64_t input_length(std::size_t row) const { return input_offsets[row + 1] - input_offsets[row]; }
  std::int64_t target_length(std::size_t row) const { return target_offsets[row + 1] - target_offsets[row]; }
  std::span<const TokenId> input(std::size_t row) const {
    return {input_ids.data() + input_offsets[row], static_cast<std::size_t>(input_length(row))};
  }
  std::span<const TokenId> target(std::size_t row) const {
    return {target_ids.data() + target_offsets[row], static_cast<std::size_t>(target_length(row))};
  }

  void append(std::span<const TokenId> input, std::span<const TokenId> target, std::uint64_t sample,
              std::size_t example, std::int32_t lane = 0) {
    input_ids.insert(input_ids.end(), input.begin(), input.end());
    input_offsets.push_back(static_cast<std::int64_t>(input_ids.size()));
    target_ids.insert(target_ids.end(), target.begin(), target.end());
    target_offsets.push_back(static_cast<std::int64_t>(target_ids.size()));
    samples.push_back(sample);
    examples.push_back(example);
    lanes.push_back(lane);
  }
};

}  // namespace trimtab
