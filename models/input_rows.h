// SPDX-License-Identifier: Apache-2.0
//
// The rows that an input adapter puts into each row of embedded text: where everything lies then, and how it
// is put together.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "parallel/row_layout.h"
#include "parallel/token_split.h"

namespace trimtab {

// The rows of a text with what `adapter` adds to each; as they are without an adapter.
RowLayout with_prompts(const RowLayout& text, const std::vector<std::int32_t>& lanes,
                       const InputAdapter* adapter);

// Of `rows` rows in all, how many go to each place. Throws ConfigError if the places name another number.
std::vector<std::int64_t> rows_of_places(const std::vector<PromptPlace>& places, std::int64_t rows);

// text_td [text tokens, d] -> with the rows of its lane in each row at their places, but never behind the
// last of the row's `inputs[row]` input tokens. Picked from [rows of all lanes | all text tokens] by index,
// so that autograd sums the gradient of what rows share.
at::Tensor put_lane_rows(const at::Tensor& text_td, const RowLayout& text,
                         const std::vector<std::int32_t>& lanes, const std::vector<at::Tensor>& lane_rows,
                         const std::vector<PromptPlace>& places, const std::vector<std::int64_t>& inputs);

// The same with the rows of `adapter`, if there is one.
at::Tensor put_prompts(const at::Tensor& text_td, const RowLayout& text,
                       const std::vector<std::int32_t>& lanes, const InputAdapter* adapter,
                       const std::vector<std::int64_t>& inputs);

// The same for a stream that tensor ranks share (TokenSplit), in two steps with the sum over the ranks
// between them, so that nothing of a prompt is sent in the forward pass. First, what this rank's vocabulary
// adds to each position, with zeros where prompts stand, [positions, d].
at::Tensor with_gaps(const at::Tensor& part_td, const RowLayout& text, const std::vector<std::int32_t>& lanes,
                     const InputAdapter* adapter, const std::vector<std::int64_t>& inputs);
// Then the rows of prompts among own positions, [own positions, d]. Each rank holds whole prompts and sees a
// part of what becomes of them: their gradient is summed over the ranks.
at::Tensor fill_gaps(const at::Tensor& x_td, const RowLayout& text, const std::vector<std::int32_t>& lanes,
                     const InputAdapter* adapter, const std::vector<std::int64_t>& inputs,
                     const TokenSplit& tokens);

// Embedded text as layers take it: activations are float32 on the host, whose fused kernels are float32, and
// of the weights' type on other devices.
inline at::Tensor as_activations(const at::Tensor& x_td) {
  return x_td.is_cpu() ? x_td.to(at::kFloat) : x_td;
}

}  // namespace trimtab
