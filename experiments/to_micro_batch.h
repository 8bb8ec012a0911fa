// SPDX-License-Identifier: Apache-2.0
//
// Where data meets models: plain vectors of ids become the tensors of a MicroBatch.
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch.h"
#include "parallel/micro_batch.h"

namespace trimtab {

// Decoder ids are the targets of each row shifted right, with `pad_id` in front (T5's start of sequence).
MicroBatch to_micro_batch(const Batch& batch, std::int64_t pad_id);

std::vector<MicroBatch> to_micro_batches(const std::vector<Batch>& batches, std::int64_t pad_id);

}  // namespace trimtab
