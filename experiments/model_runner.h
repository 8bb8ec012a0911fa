// SPDX-License-Identifier: Apache-2.0
//
// The model as trainer and evaluator use it, on whatever mesh: this rank's stage, run in its pipeline. Calls
// are collective over the ranks of a replica (its stages and their tensor ranks), which all pass the same
// micro-batches.
#pragma once

#include <string>
#include <vector>

#include "models/model.h"
#include "parallel/pipeline.h"
#include "runtime/world.h"

namespace trimtab {

class ModelRunner {
 public:
  // Once the tuning method is attached. `trains`: anything on this stage is trained. Collective over the
  // pipe; both must outlive this.
  ModelRunner(ModelStage& stage, World& world, const std::string& schedule, bool trains);

  ModelStage& stage() { return stage_; }
  World& world() { return world_; }
  // The first stage of the pipe on which anything is trained.
  int first_trained() const { return pipeline_.first_trained(); }
  bool is_pipeline() { return world_.mesh().size(Axis::kPipe) > 1; }

  // Adds to the gradients of this stage's trainables. `pass` runs this stage.
  PassTotals train(PipelineStage& pass, const std::vector<MicroBatch>& batches);
  // No gradients.
  PassTotals evaluate(const std::vector<MicroBatch>& batches, const ForwardContext& context, double z_loss);
  // For each micro-batch the log-likelihoods [rows, candidates], on every rank of the replica.
  std::vector<std::vector<float>> rank(const std::vector<MicroBatch>& batches, const CandidateWalk& walk);
  // For each micro-batch and row the ids up to and without the end of sequence, on every rank of the replica.
  std::vector<TokenRows> generate(const std::vector<MicroBatch>& batches, std::int64_t max_tokens);

 private:
  ModelStage& stage_;
  World& world_;
  Pipeline pipeline_;
};

}  // namespace trimtab
