// SPDX-License-Identifier: Apache-2.0
//
// Greedy decoding through a pipeline, the work behind Pipeline::generate(), in waves (decoding_wave.h).
// Between two decoding stages travel the activations of one token a row and a word that says whether the
// micro-batch goes on; from the last to the first of them the ids.
#pragma once

#include <vector>

#include "parallel/pipeline.h"

namespace trimtab {

// The stages from `first_decoding` on decode. Collective over the pipe; the same result on every stage.
std::vector<TokenRows> decode_through_pipe(Communicator& pipe, int first_decoding, PipelineStage& stage,
                                           const std::vector<MicroBatch>& batches,
                                           const DecodingLimits& limits);

}  // namespace trimtab
