// SPDX-License-Identifier: Apache-2.0
//
// Between a step's rows and its gradients: forward, loss and backward of each micro-batch, then one
// reduction. Used by the trainer and the pretrainer alike.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/model.h"
#include "parallel/gradient_sync.h"
#include "parallel/micro_batch.h"
#include "parallel/parameter.h"

namespace trimtab {

// What a row is called in messages, by its sample number.
using RowName = std::function<std::string(std::uint64_t sample)>;

struct TrainStepOptions {
  double dropout = 0.1;
  double z_loss = 1e-4;
  std::uint64_t seed = 0;
  bool check_finite = true;
};

class TrainStep {
 public:
  // All must outlive this.
  TrainStep(ModelStage& stage, const Parameters& parameters, GradientSync& sync, TrainStepOptions options);

  // Leaves in the parameters the gradients of the sum over all target tokens of all rows: nothing is
  // averaged. With check_finite, throws Error for a loss or gradient that is NaN or infinite: step, rows,
  // first layer where it shows.
  StepTotals run(std::int64_t step, const std::vector<MicroBatch>& micro_batches, const RowName& row_name);

  // The same rows without dropout and gradients: loss per target token.
  double score(const std::vector<MicroBatch>& micro_batches);

 private:
  ForwardContext context(std::int64_t step) const;
  [[noreturn]] void stop_at_bad_loss(std::int64_t step, const MicroBatch& batch, double loss,
                                     const RowName& name);

  ModelStage& stage_;
  const Parameters& parameters_;
  GradientSync& sync_;
  TrainStepOptions options_;
};

// Forgets all gradients.
void clear_gradients(const Parameters& parameters);

// Where something that is not finite first shows when `batch` is run again.
struct Fault {
  std::string layer;               // name as ForwardContext::observe gives it; "" if every output is finite
  std::vector<std::int64_t> rows;  // of the micro-batch
};
Fault find_fault(ModelStage& stage, const MicroBatch& batch, ForwardContext context);

}  // namespace trimtab
