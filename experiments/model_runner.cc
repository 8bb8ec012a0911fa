// SPDX-License-Identifier: Apache-2.0
#include "experiments/model_runner.h"

#include "models/model_pass.h"

namespace trimtab {

ModelRunner::ModelRunner(ModelStage& stage, World& world, const std::string& schedule, bool trains)
    : stage_(stage),
      world_(world),
      pipeline_(world.along(Axis::kPipe), {schedule, trains, stage.decodes()}) {}

PassTotals ModelRunner::train(PipelineStage& pass, const std::vector<MicroBatch>& batches) {
  return pipeline_.train(pass, batches);
}

PassTotals ModelRunner::evaluate(const std::vector<MicroBatch>& batches, const ForwardContext& context,
                                 double z_loss) {
  ModelPass pass(stage_, context, z_loss);
  return pipeline_.evaluate(pass, batches);
}

std::vector<std::vector<float>> ModelRunner::rank(const std::vector<MicroBatch>& batches,
                                                  const CandidateWalk& walk) {
  ModelPass pass(stage_, {}, 0.0);
  return pipeline_.rank(pass, batches, walk);
}

std::vector<TokenRows> ModelRunner::generate(const std::vector<MicroBatch>& batches,
                                             std::int64_t max_tokens) {
  ModelPass pass(stage_, {}, 0.0);
  return pipeline_.generate(pass, batches, {max_tokens, stage_.eos_id()});
}

}  // namespace trimtab
