// SPDX-License-Identifier: Apache-2.0
//
// Runs a model that is cut into stages, one stage a rank of the pipe axis: training passes under a schedule,
// evaluation, greedy decoding and the ranking of candidates with the caches on their stages. All ranks of a
// replica know the same micro-batches; only activations, their gradients and a few numbers travel. A pipe of
// one rank sends nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parallel/candidate_walk.h"
#include "parallel/greedy_rows.h"
#include "parallel/micro_batch.h"
#include "parallel/pipeline_stage.h"
#include "runtime/communicator.h"

namespace trimtab {

struct PipelineOptions {
  std::string schedule = "1f1b";  // one of schedule_registry()
  bool trains = false;            // anything on this stage is trained
  bool decodes = true;            // this stage has layers that run once for every decoded token
};

// Of one replica, the same on every stage.
struct PassTotals {
  double loss = 0.0;           // summed over target tokens
  std::int64_t tokens = 0;     // target tokens
  std::vector<double> losses;  // of each micro-batch
};

struct DecodingLimits {
  std::int64_t max_tokens = 0;  // of a row, end of sequence not counted
  std::int64_t eos_id = 1;
};

class Pipeline {
 public:
  // Collective over `pipe`, which must outlive this: the stages tell each other once what they are. Throws
  // ConfigError for an unknown schedule, Error if a stage that decodes comes before one that does not.
  Pipeline(Communicator& pipe, const PipelineOptions& options);

  bool first() const { return pipe_.rank() == 0; }
  bool last() const { return pipe_.rank() + 1 == pipe_.size(); }
  // The first stage on which anything is trained; the number of stages if nothing is.
  int first_trained() const { return first_trained_; }

  // Forward, loss and backward of all micro-batches. Adds to the gradients of this stage's trainables, for
  // the loss summed over all target tokens; keeps no graph. Collective over the pipe, as are the other calls.
  PassTotals train(PipelineStage& stage, const std::vector<MicroBatch>& batches);

  // Forward and loss, no gradients.
  PassTotals evaluate(PipelineStage& stage, const std::vector<MicroBatch>& batches);

  // For each micro-batch and row the most likely ids up to and without the end of sequence, on every stage.
  // As many micro-batches are in flight as there are stages that decode.
  std::vector<TokenRows> generate(PipelineStage& stage, const std::vector<MicroBatch>& batches,
                                  const DecodingLimits& limits);

  // For each micro-batch how likely each candidate is behind each row, log-likelihoods [rows, candidates], on
  // every stage. Each row is read once.
  std::vector<std::vector<float>> rank(PipelineStage& stage, const std::vector<MicroBatch>& batches,
                                       const CandidateWalk& walk);

 private:
  PassTotals pass(PipelineStage& stage, const std::vector<MicroBatch>& batches, bool train);

  Communicator& pipe_;
  PipelineOptions options_;
  int first_trained_ = 0;
  int first_decoding_ = 0;
};

}  // namespace trimtab
