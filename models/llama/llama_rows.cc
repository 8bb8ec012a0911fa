// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_rows.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {
namespace {

// Of each row the first `inputs[row]` input tokens, then the first `targets[row]` targets.
JointRows rows_of(const MicroBatch& batch, const InputAdapter* adapter,
                  const std::vector<std::int64_t>& inputs, const std::vector<std::int64_t>& targets) {
  std::vector<std::int64_t> lengths;
  for (std::size_t row = 0; row < inputs.size(); ++row) lengths.push_back(inputs[row] + targets[row]);
  JointRows rows{RowLayout(lengths), {}, {}};
  rows.layout = with_prompts(rows.text, batch.lanes, adapter);
  rows.ids = at::empty({rows.text.tokens()}, at::kLong);
  auto* to = rows.ids.mutable_data_ptr<std::int64_t>();
  for (std::size_t row = 0; row < inputs.size(); ++row) {
    const auto at = static_cast<std::int64_t>(row);
    const auto* input = batch.encoder_ids.const_data_ptr<std::int64_t>() + batch.encoder.begin(at);
    to = std::copy_n(input, inputs[row], to);
    if (targets[row] == 0) continue;
    to =
        std::copy_n(batch.targets.const_data_ptr<std::int64_t>() + batch.decoder.begin(at), targets[row], to);
  }
  return rows;
}

}  // namespace

JointRows joint_rows(const MicroBatch& batch, const InputAdapter* adapter) {
  std::vector<std::int64_t> inputs, targets;
  for (std::int64_t row = 0; row < batch.rows(); ++row) {
    inputs.push_back(batch.encoder.length(row));
    targets.push_back(std::max<std::int64_t>(0, batch.decoder.length(row) - 1));
    const std::int32_t lane = batch.lanes[static_cast<std::size_t>(row)];
    TT_CHECK(inputs.back() + (adapter ? adapter->positions(lane) : 0) > 0 || batch.decoder.length(row) == 0,
             "row {} has no token before its target", row);
  }
  return rows_of(batch, adapter, inputs, targets);
}

JointRows prefix_rows(const MicroBatch& batch, const InputAdapter* adapter) {
  std::vector<std::int64_t> inputs;
  for (std::int64_t row = 0; row < batch.rows(); ++row) {
    inputs.push_back(batch.encoder.length(row) - 1);
    TT_CHECK(inputs.back() >= 0, "row {} has no input token to begin with", row);
  }
  return rows_of(batch, adapter, inputs, std::vector<std::int64_t>(inputs.size(), 0));
}

at::Tensor last_input_ids(const MicroBatch& batch) {
  at::Tensor ids = at::empty({batch.rows()}, at::kLong);
  auto* to = ids.mutable_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < batch.rows(); ++row)
    *to++ = batch.encoder_ids.const_data_ptr<std::int64_t>()[batch.encoder.begin(row + 1) - 1];
  return ids;
}

at::Tensor scored_positions(const JointRows& rows, const RowLayout& targets) {
  at::Tensor positions = at::empty({targets.tokens()}, at::kLong);
  auto* to = positions.mutable_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < targets.rows(); ++row)
    for (std::int64_t i = targets.length(row); i > 0; --i) *to++ = rows.layout.begin(row + 1) - i;
  return positions;
}

}  // namespace trimtab
