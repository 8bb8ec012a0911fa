// SPDX-License-Identifier: Apache-2.0
#include "parallel/decoding_wave.h"

#include <ATen/ops/empty.h>

#include <utility>

#include "parallel/schedule.h"
#include "parallel/stage_run.h"
#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {

DecodingWave::DecodingWave(Communicator& pipe, int head, PipelineStage& stage,
                           const std::vector<MicroBatch>& batches)
    : pipe_(pipe), head_(head), tail_(pipe.size() - 1), stage_(stage), batches_(batches) {
  TT_CHECK(head < pipe.size(), "no stage of {} decodes", pipe.size());
}

void DecodingWave::prefill(int begin, int end, std::int64_t max_tokens) {
  pipe_.enter(Phase::kDecoding, begin);
  begin_ = begin;
  decoders_.clear();
  StageCalls calls;
  calls.receive_shape = [&](int i) { return stage_.prefill_shape(batch(begin + i)); };
  calls.forward = [&](int i, StageIO in) {
    Prefill done = stage_.prefill(std::move(in), batch(begin + i), max_tokens);
    TT_CHECK((done.decoder != nullptr) == decodes(), "stage {} of {} decodes from {} on", pipe_.rank(),
             pipe_.size(), head_);
    if (done.decoder) decoders_.push_back(std::move(done.decoder));
    return std::move(done.out);
  };
  StageRun run(pipe_, std::move(calls), /*received_gradients=*/false, /*backward=*/false);
  run.run(schedule_actions("forward_only", {pipe_.size(), end - begin, pipe_.size()}, pipe_.rank()));
  pipe_.enter(Phase::kDecoding, begin);
}

at::Tensor DecodingWave::activations(int micro) const {
  const StageShape shape = stage_.prefill_shape(batch(micro));
  return at::empty({batch(micro).rows(), shape.width}, shape.options);
}

at::Tensor DecodingWave::as_sent(const at::Tensor& x, int micro) const {
  return x.to(stage_.prefill_shape(batch(micro)).options).contiguous();
}

void DecodingWave::exchange(Outgoing& out, const std::vector<at::Tensor>& in, int from) const {
  std::vector<Send> sends;
  std::vector<Receive> receives;
  for (const at::Tensor& x : out.kept) sends.push_back({out.to, buffer_of(x)});
  for (const at::Tensor& x : in) receives.push_back({from, buffer_of(x)});
  if (!sends.empty() || !receives.empty()) pipe_.exchange(sends, receives, Traffic::kPipeline);
  out = {};
}

}  // namespace trimtab
