// SPDX-License-Identifier: Apache-2.0
//
// A stage under one step's context, as a pipeline runs it. Cheap: made anew for each step.
#pragma once

#include <utility>

#include "models/model.h"
#include "parallel/pipeline_stage.h"

namespace trimtab {

class ModelPass : public PipelineStage {
 public:
  // The stage must outlive this. `context` and `z_loss` count for forward() and loss() only: decoding has
  // neither dropout nor loss.
  ModelPass(ModelStage& stage, ForwardContext context, double z_loss)
      : stage_(stage), context_(std::move(context)), z_loss_(z_loss) {}

  StageShape receive_shape(const MicroBatch& batch) const override { return stage_.receive_shape(batch); }
  StageIO forward(StageIO in, const MicroBatch& batch) override {
    return stage_.forward(std::move(in), batch, context_);
  }
  LossSums loss(const StageIO& out, const MicroBatch& batch) override {
    return stage_.loss(out, batch, z_loss_);
  }
  StageShape prefill_shape(const MicroBatch& batch) const override { return stage_.prefill_shape(batch); }
  Prefill prefill(StageIO in, const MicroBatch& batch, std::int64_t max_tokens) override {
    return stage_.prefill(std::move(in), batch, max_tokens);
  }

 private:
  ModelStage& stage_;
  ForwardContext context_;
  double z_loss_;
};

}  // namespace trimtab
