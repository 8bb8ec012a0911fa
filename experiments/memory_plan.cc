// SPDX-License-Identifier: Apache-2.0
#include "experiments/memory_plan.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <system_error>

#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Resident bytes of a process that has opened an experiment and read no weight: LibTorch's code and tables,
// MPI, what the C library keeps for itself, and the vocabulary's tables, by piece of a T5's and of a
// decoder-only model's.
constexpr std::int64_t kProgram = std::int64_t{168} << 20, kOfT5Piece = 1210, kOfDecoderPiece = 870;
// What LibTorch's library of bfloat16 products (oneDNN) keeps for each size of product that it met, half a
// MiB of code for up to 1,024 of them: what runs came to whose micro-batches are of many sizes.
constexpr std::int64_t kBFloat16Code = std::int64_t{384} << 20;
// Assumed: CUDA's context and the workspace of its matrix products, on the device.
constexpr std::int64_t kCudaContext = std::int64_t{512} << 20;

void add(PassSize& sum, const PassSize& more) {
  sum.rows += more.rows;
  sum.input += more.input;
  sum.target += more.target;
  sum.before_target += more.before_target;
  sum.longest = std::max(sum.longest, more.longest);
}

// The micro-batches that are between forward and backward when they have most positions.
PassSize most_waiting(const Actions& actions, const std::vector<PassSize>& sizes) {
  PassSize now, most;
  for (const Action& action : actions) {
    if (!action.work) continue;
    const PassSize& size = sizes[static_cast<std::size_t>(action.work->micro)];
    if (action.work->compute == Compute::kForward) {
      add(now, size);
      if (positions(now) > positions(most)) most = now;
    } else {
      now.rows -= size.rows;
      now.input -= size.input;
      now.target -= size.target;
      now.before_target -= size.before_target;
    }
  }
  return most;
}

// Fills in what waits and what is computed at the moment of the steps that has most.
void find_worst_moment(const ExperimentConfig& config, const TuningMethod& method, const StageLoad& load,
                       MemoryPlan& plan) {
  for (const std::vector<Batch>& step : load.steps) {
    std::vector<PassSize> sizes;
    for (const Batch& batch : step) sizes.push_back(size_of(batch, method));
    const ScheduleShape shape{static_cast<int>(config.mesh.pipe), static_cast<int>(sizes.size()),
                              load.first_trained};
    for (const PassSize& size : sizes)
      if (positions(size) > positions(plan.at_work)) plan.at_work = size;
    if (load.stage < load.first_trained) continue;
    const PassSize waiting = most_waiting(schedule_actions(config.mesh.schedule, shape, load.stage), sizes);
    if (positions(waiting) > positions(plan.waiting)) plan.waiting = waiting;
  }
}

// Received activations are the first layer's input and count there. Beside them there are the gradients that
// come and go, and the copies in which tensor ranks add up (two on the host, where a sum is made in another
// one's memory), each of own tokens; over replicas one vector of at most 64 MiB.
std::int64_t communication_bytes(const ExperimentConfig& config, const StageLoad& load,
                                 const MemoryPlan& plan, std::int64_t width) {
  const bool sends = load.first_trained < load.stage;
  const bool receives = load.stage + 1 < config.mesh.pipe && load.first_trained <= load.stage;
  const std::int64_t messages = (sends ? 1 : 0) + (receives ? 1 : 0), sums = config.mesh.tensor > 1 ? 1 : 0;
  const std::int64_t copies = messages + (plan.fused ? 2 * sums : sums);
  constexpr std::int64_t kBucket = std::int64_t{64} << 20;
  const std::int64_t replicas = config.mesh.data > 1 ? std::min(load.trained_bytes, kBucket) : 0;
  const std::int64_t own = plan.sequence_parallel ? width / plan.tensor : width;
  return copies * positions(plan.at_work) * own * plan.activation_bytes + replicas;
}

MemoryPlan plan_of(const ExperimentConfig& config, const BaseModel& model, const TuningMethod& method) {
  MemoryPlan plan;
  plan.tensor = config.mesh.tensor;
  plan.sequence_parallel = config.mesh.sequence_parallel;
  plan.trains_base = method.trains_base();
  plan.trains_layers = method.trains() && !method.trains_base() && method.extra_positions() == 0;
  plan.dropout = config.train.dropout.value_or(model.usual_dropout()) > 0;
  plan.fused = config.model.device == "cpu";
  plan.element_bytes = config.model.compute == "bfloat16" ? 2 : 4;
  plan.activation_bytes = plan.fused ? 4 : plan.element_bytes;
  return plan;
}

}  // namespace

PassSize size_of(const Batch& batch, const TuningMethod& method) {
  const std::int64_t extra_positions = method.extra_positions();
  PassSize size;
  size.rows = static_cast<std::int64_t>(batch.rows());
  size.input = static_cast<std::int64_t>(batch.input_ids.size()) + size.rows * extra_positions;
  size.target = static_cast<std::int64_t>(batch.target_ids.size());
  size.before_target = size.rows * method.decoder_positions();
  for (std::size_t row = 0; row < batch.rows(); ++row)
    size.longest = std::max(size.longest, batch.input_length(row) + extra_positions);
  return size;
}

RowLengths mean_lengths_of(const Batch& batch) {
  const auto rows = static_cast<double>(batch.rows());
  return {static_cast<double>(batch.input_ids.size()) / rows,
          static_cast<double>(batch.target_ids.size()) / rows};
}

RowLengths with_positions(RowLengths lengths, const TuningMethod& method) {
  lengths.input += static_cast<double>(method.extra_positions());
  lengths.before_target += static_cast<double>(method.decoder_positions());
  return lengths;
}

RankMemory rank_memory(const BaseModel& model, const ExperimentConfig& config, const TuningMethod& method,
                       const StageLoad& load) {
  RankMemory memory;
  MemoryPlan training = plan_of(config, model, method);
  find_worst_moment(config, method, load, training);
  training.backward = load.first_trained <= load.stage;
  const StageBytes step = model.planned_bytes(load.units, training);
  const bool host = training.fused;
  const std::int64_t of_piece = model.text_form() == TextForm::kDecoderOnly ? kOfDecoderPiece : kOfT5Piece;
  memory.program = host ? kProgram + of_piece * model.vocabulary() : kCudaContext;
  if (host && training.element_bytes == 2) memory.program += kBFloat16Code;
  memory.weights = step.weights;
  memory.trained = load.trained_bytes;
  memory.activations = step.kept;
  memory.working = step.working;
  memory.communication = communication_bytes(config, load, training, model.attention_shape().width);

  MemoryPlan scoring = plan_of(config, model, method);
  scoring.at_work = load.scored;
  scoring.backward = false;
  scoring.dropout = false;
  scoring.decoded = config.text.max_target;  // that of labels which are ranked is at most that
  scoring.sequence_parallel = false;         // decoding goes without it
  const StageBytes answers = model.planned_bytes(load.units, scoring);
  memory.caches = answers.caches * load.scored_at_once;
  memory.decoding = answers.working;
  return memory;
}

PassSize scored_size(const ExperimentConfig& config, const RowLengths& lengths) {
  const double row = lengths.input + lengths.target + lengths.before_target;
  PassSize size;
  size.rows = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(static_cast<double>(config.evaluate.batch_tokens) / row));
  if (config.evaluate.max_examples > 0) size.rows = std::min(size.rows, config.evaluate.max_examples);
  size.longest = std::llround(lengths.input);
  size.input = std::llround(static_cast<double>(size.rows) * lengths.input);
  size.target = std::llround(static_cast<double>(size.rows) * lengths.target);
  size.before_target = std::llround(static_cast<double>(size.rows) * lengths.before_target);
  return size;
}

void check_fits_memory(std::int64_t needed, std::uint64_t available, int ranks,
                       const ExperimentConfig& config) {
  const std::uint64_t share = available / static_cast<std::uint64_t>(ranks);
  if (available == 0 || static_cast<std::uint64_t>(needed) <= share) return;
  fail_config(
      "this rank needs about {} of memory, {} are available to it ({} rank{} on this machine); lower "
      "train.micro_batch_tokens (now {}), {}cut the model over more machines (mesh.pipe, mesh.tensor) or "
      "take "
      "a smaller one",
      readable_bytes(static_cast<std::uint64_t>(needed)), readable_bytes(share), ranks, ranks == 1 ? "" : "s",
      config.train.micro_batch_tokens,
      config.model.compute == "float32" ? "set model.compute: bfloat16, " : "");
}

}  // namespace trimtab
