// SPDX-License-Identifier: Apache-2.0
//
// How likely the same candidates are behind each row, through a pipeline: the work behind Pipeline::rank(),
// in waves (decoding_wave.h). Every stage knows which tokens are read, so only activations travel, one token
// a row, forward.
#pragma once

#include <vector>

#include "parallel/candidate_walk.h"
#include "parallel/pipeline.h"

namespace trimtab {

// The stages from `first_decoding` on decode. For each micro-batch the log-likelihoods [rows, candidates].
// Collective over the pipe; the same result on every stage.
std::vector<std::vector<float>> rank_through_pipe(Communicator& pipe, int first_decoding,
                                                  PipelineStage& stage,
                                                  const std::vector<MicroBatch>& batches,
                                                  const CandidateWalk& walk);

}  // namespace trimtab
