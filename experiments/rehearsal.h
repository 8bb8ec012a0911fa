// SPDX-License-Identifier: Apache-2.0
//
// A training step gone through without memory and without other ranks: the stages, the method and the
// schedule are the real ones, but their tensors have shapes only and their communicators count what they are
// asked to move. So what is refused at a start is refused here, and what is counted is what a run sends.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/batch.h"
#include "experiments/experiment_config.h"
#include "models/family.h"
#include "models/methods/tuning_method.h"
#include "parallel/stage_plan.h"
#include "runtime/communicator.h"

namespace trimtab {

// What the first tensor rank of a stage of the first replica does.
struct RehearsedStage {
  std::int64_t base_bytes = 0;  // of weights
  std::int64_t trained = 0;     // numbers that are trained here
  std::int64_t trained_bytes =
      0;                    // values, gradients and what the optimizer keeps; of a trained base the last
  TrafficCounters traffic;  // of all steps that were gone through
};

struct Rehearsal {
  std::vector<RehearsedStage> stages;
  int first_trained = 0;  // their number if nothing is trained
};

// `model` is one of shapes only (models/shapes_only.h). `steps` are the micro-batches of the first
// replica. Throws ConfigError when the model cannot be cut like that or the method does not fit it.
Rehearsal rehearse(const BaseModel& model, const ExperimentConfig& config, const StagePlan& plan,
                   const MethodContext& context, const std::vector<std::vector<Batch>>& steps);

}  // namespace trimtab
