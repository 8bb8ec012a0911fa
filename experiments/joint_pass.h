// SPDX-License-Identifier: Apache-2.0
//
// One pass through the frozen model for several runs: each micro-batch goes through it as it would in a pass
// of its own run, with that run's method, dropout and loss. Those of different runs are under way at the same
// time, which keeps the stages of a pipeline busy.
#pragma once

#include <utility>
#include <vector>

#include "experiments/experiment.h"
#include "models/model_pass.h"
#include "parallel/pipeline_stage.h"

namespace trimtab {

class JointPass : public PipelineStage {
 public:
  struct Run {
    Experiment* experiment;
    ModelPass pass;
  };

  // MicroBatch::run is a position in `runs`. The experiments share one model and must outlive this.
  explicit JointPass(std::vector<Run> runs) : runs_(std::move(runs)) {}

  StageShape receive_shape(const MicroBatch& batch) const override { return of(batch).receive_shape(batch); }
  StageIO forward(StageIO in, const MicroBatch& batch) override {
    return of(batch).forward(std::move(in), batch);
  }
  LossSums loss(const StageIO& out, const MicroBatch& batch) override { return of(batch).loss(out, batch); }
  StageShape prefill_shape(const MicroBatch& batch) const override { return of(batch).prefill_shape(batch); }
  Prefill prefill(StageIO in, const MicroBatch& batch, std::int64_t max_tokens) override {
    return of(batch).prefill(std::move(in), batch, max_tokens);
  }

 private:
  // Layouts depend on the method, too.
  ModelPass& of(const MicroBatch& batch) const {
    Run& run = runs_.at(batch.run);
    run.experiment->activate();
    return run.pass;
  }

  mutable std::vector<Run> runs_;
};

}  // namespace trimtab
