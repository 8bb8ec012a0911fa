// SPDX-License-Identifier: Apache-2.0
#include "parallel/pipeline.h"

#include <algorithm>
#include <array>
#include <bit>

#include "parallel/pipeline_decoding.h"
#include "parallel/pipeline_ranking.h"
#include "parallel/schedule.h"
#include "parallel/stage_run.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// The numbers of the last stage on all stages, bit for bit.
void share(std::vector<std::int64_t>& numbers, Communicator& pipe) {
  if (pipe.size() == 1) return;
  pipe.broadcast({numbers.data(), static_cast<std::int64_t>(numbers.size()), DType::kInt64}, pipe.size() - 1,
                 Traffic::kControl);
}

}  // namespace

Pipeline::Pipeline(Communicator& pipe, const PipelineOptions& options) : pipe_(pipe), options_(options) {
  schedule_registry().find(options.schedule, "schedule");
  const int here = pipe.rank(), none = pipe.size();
  // Smallest stage that trains, smallest that decodes, and (negated) largest that does not decode.
  std::array<std::int64_t, 3> facts = {options.trains ? here : none, options.decodes ? here : none,
                                       options.decodes ? 1 : -here};
  if (pipe.size() > 1)
    pipe.all_reduce({facts.data(), static_cast<std::int64_t>(facts.size()), DType::kInt64}, ReduceOp::kMin,
                    Traffic::kControl);
  first_trained_ = static_cast<int>(facts[0]);
  first_decoding_ = static_cast<int>(facts[1]);
  if (-facts[2] >= facts[1])
    fail("stage {} decodes, but stage {} behind it does not: only the last stages of a pipeline may",
         facts[1], -facts[2]);
}

PassTotals Pipeline::train(PipelineStage& stage, const std::vector<MicroBatch>& batches) {
  return pass(stage, batches, true);
}

PassTotals Pipeline::evaluate(PipelineStage& stage, const std::vector<MicroBatch>& batches) {
  return pass(stage, batches, false);
}

PassTotals Pipeline::pass(PipelineStage& stage, const std::vector<MicroBatch>& batches, bool train) {
  const auto batch = [&](int micro) -> const MicroBatch& { return batches[static_cast<std::size_t>(micro)]; };
  const ScheduleShape shape{pipe_.size(), static_cast<int>(batches.size()), first_trained_};
  // Read only after the pass, so that a device need not wait for each.
  std::vector<at::Tensor> losses(batches.size());
  std::int64_t tokens = 0;
  StageCalls calls;
  calls.receive_shape = [&](int micro) { return stage.receive_shape(batch(micro)); };
  calls.forward = [&](int micro, StageIO in) { return stage.forward(std::move(in), batch(micro)); };
  calls.loss = [&](int micro, const StageIO& out) {
    const LossSums sums = stage.loss(out, batch(micro));
    losses[static_cast<std::size_t>(micro)] = sums.loss.detach();
    tokens += sums.tokens;
    return sums.loss;
  };
  StageRun run(pipe_, std::move(calls), train && first_trained_ < pipe_.rank(),
               train && first_trained_ <= pipe_.rank());
  run.run(schedule_actions(train ? options_.schedule : "forward_only", shape, pipe_.rank()));

  pipe_.settle();
  std::vector<std::int64_t> numbers(batches.size() + 1, 0);
  numbers.back() = tokens;
  for (std::size_t i = 0; last() && i < losses.size(); ++i)
    numbers[i] = std::bit_cast<std::int64_t>(losses[i].item<double>());
  share(numbers, pipe_);
  PassTotals totals;
  totals.tokens = numbers.back();
  for (std::size_t i = 0; i < losses.size(); ++i) {
    totals.losses.push_back(std::bit_cast<double>(numbers[i]));
    totals.loss += totals.losses.back();
  }
  return totals;
}

std::vector<TokenRows> Pipeline::generate(PipelineStage& stage, const std::vector<MicroBatch>& batches,
                                          const DecodingLimits& limits) {
  return decode_through_pipe(pipe_, first_decoding_, stage, batches, limits);
}

std::vector<std::vector<float>> Pipeline::rank(PipelineStage& stage, const std::vector<MicroBatch>& batches,
                                               const CandidateWalk& walk) {
  return rank_through_pipe(pipe_, first_decoding_, stage, batches, walk);
}

}  // namespace trimtab
