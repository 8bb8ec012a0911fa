// SPDX-License-Identifier: Apache-2.0
#include "experiments/to_micro_batch.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace trimtab {
namespace {

at::Tensor long_tensor(const std::vector<TokenId>& ids) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(ids.size())}, at::kLong);
  std::ranges::copy(ids, out.mutable_data_ptr<std::int64_t>());
  return out;
}

RowLayout layout_of(const std::vector<std::int64_t>& offsets) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(offsets.size());
  for (std::size_t i = 1; i < offsets.size(); ++i) lengths.push_back(offsets[i] - offsets[i - 1]);
  return RowLayout(lengths);
}

}  // namespace

MicroBatch to_micro_batch(const Batch& batch, std::int64_t pad_id) {
  MicroBatch out;
  out.encoder = layout_of(batch.input_offsets);
  out.decoder = layout_of(batch.target_offsets);
  out.encoder_ids = long_tensor(batch.input_ids);
  out.targets = long_tensor(batch.target_ids);
  out.decoder_ids = at::empty_like(out.targets);
  auto* shifted = out.decoder_ids.mutable_data_ptr<std::int64_t>();
  for (std::size_t row = 0; row < batch.rows(); ++row)
    for (std::int64_t i = batch.target_offsets[row]; i < batch.target_offsets[row + 1]; ++i)
      shifted[i] =
          i == batch.target_offsets[row] ? pad_id : batch.target_ids[static_cast<std::size_t>(i - 1)];
  out.lanes = batch.lanes;
  out.samples = batch.samples;
  return out;
}

std::vector<MicroBatch> to_micro_batches(const std::vector<Batch>& batches, std::int64_t pad_id) {
  std::vector<MicroBatch> out;
  out.reserve(batches.size());
  for (const Batch& batch : batches) out.push_back(to_micro_batch(batch, pad_id));
  return out;
}

}  // namespace trimtab
