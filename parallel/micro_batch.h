// SPDX-License-Identifier: Apache-2.0
//
// The rows that go through the stages together. Every rank builds it by itself from (seed, step): nothing is
// sent.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/row_layout.h"

namespace trimtab {

struct MicroBatch {
  RowLayout encoder;                // text tokens of each row, without the positions that a method adds
  RowLayout decoder;                // target tokens of each row, end-of-sequence included
  at::Tensor encoder_ids;           // int64 [encoder.tokens()]
  at::Tensor decoder_ids;           // int64 [decoder.tokens()]: targets shifted right, the pad id in front
  at::Tensor targets;               // int64 [decoder.tokens()]
  std::vector<std::int32_t> lanes;  // the prompt that each row goes through
  std::vector<std::uint64_t>
      samples;          // what dropout of the row is keyed by: unique in the global batch of the step
  std::size_t run = 0;  // whose rows they are, where several runs share a pass

  std::int64_t rows() const { return encoder.rows(); }
};

}  // namespace trimtab
