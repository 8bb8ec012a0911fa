// SPDX-License-Identifier: Apache-2.0
//
// Between a step's rows and its gradients: forward, loss and backward of each micro-batch, then one
// reduction. Used by the trainer and the pretrainer alike, on any mesh.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/model_runner.h"
#include "models/model_pass.h"
#include "parallel/gradient_sync.h"
#include "parallel/micro_batch.h"
#include "parallel/parameter.h"
#include "parallel/shard_sums.h"
#include "parallel/shared_by_stages.h"
#include "runtime/check.h"

namespace trimtab {

// What a row is called in messages, by its sample number.
using RowName = std::function<std::string(std::uint64_t sample)>;

// The loss or a gradient is NaN or infinite. Thrown on every rank alike.
class Diverged : public Error {
 public:
  using Error::Error;
};

struct TrainStepOptions {
  double dropout = 0.1;
  double z_loss = 1e-4;
  std::uint64_t seed = 0;
};

class TrainStep {
 public:
  // All must outlive this. `parameters` are those of this stage. Collective over the pipe.
  TrainStep(ModelRunner& runner, const Parameters& parameters, TrainStepOptions options);

  // Leaves in the parameters the gradients of the sum over all target tokens of all rows of all replicas:
  // nothing is averaged. `micro_batches` are this replica's. Throws Diverged, whose message says step, rows
  // and the first layer where something that is not finite shows.
  StepTotals run(std::int64_t step, const std::vector<MicroBatch>& micro_batches, const RowName& row_name);

  // The same in parts, for a pass that several steps share: how the micro-batches go through this stage, and
  // what comes after them, of which `totals` are this step's.
  ModelPass begin(std::int64_t step);
  StepTotals finish(std::int64_t step, const std::vector<MicroBatch>& micro_batches, const PassTotals& totals,
                    const RowName& row_name);

  // The same rows without dropout and gradients: loss per target token.
  double score(const std::vector<MicroBatch>& micro_batches);

  // For the optimizer that steps these parameters.
  SliceSums& sums() { return sums_; }
  // The parameters that are this stage's to save: of copies that several stages hold, the first one.
  Parameters counted() const;

 private:
  ForwardContext context(std::int64_t step) const;
  // What is wrong with the first of this replica's micro-batches whose loss is not finite; "" if all are.
  std::string explain(std::int64_t step, const std::vector<MicroBatch>& micro_batches,
                      const std::vector<double>& losses, const RowName& name);

  ModelRunner& runner_;
  const Parameters& parameters_;
  SharedByStages shared_;
  ShardSums sums_;
  GradientSync sync_;
  TrainStepOptions options_;
};

// Forgets all gradients.
void clear_gradients(const Parameters& parameters);

// Where something that is not finite first shows when `batch` is run again.
struct Fault {
  std::string layer;               // name as ForwardContext::observe gives it; "" if every output is finite
  std::vector<std::int64_t> rows;  // of the micro-batch; of another stage's fault all of them
};
// Collective over the ranks of a replica.
Fault find_fault(ModelRunner& runner, const MicroBatch& batch, ForwardContext context);

}  // namespace trimtab
