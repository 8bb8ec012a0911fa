// SPDX-License-Identifier: Apache-2.0
#include "parallel/pipeline_decoding.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "parallel/schedule.h"
#include "parallel/stage_run.h"
#include "parallel/tensor.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

class Decoding {
 public:
  Decoding(Communicator& pipe, int first_decoding, PipelineStage& stage,
           const std::vector<MicroBatch>& batches, const DecodingLimits& limits)
      : pipe_(pipe),
        stage_(stage),
        batches_(batches),
        limits_(limits),
        head_(first_decoding),
        tail_(pipe.size() - 1) {
    for (const MicroBatch& batch : batches) rows_.emplace_back(batch.rows(), limits.eos_id);
  }

  std::vector<TokenRows> run() {
    const int count = static_cast<int>(batches_.size()), wave = tail_ - head_ + 1;
    for (int begin = 0; begin < count; begin += wave) {
      const int end = std::min(begin + wave, count);
      prefill(begin, end);
      if (decodes() && head_ == tail_) decode_here(begin);
      if (decodes() && head_ != tail_) decode_wave(begin, end);
      decoders_.clear();
    }
    return shared();
  }

 private:
  // What one piece of work leaves for the next exchange; the tensors stay alive until then.
  struct Outgoing {
    std::vector<at::Tensor> kept;
    int to = -1;
  };

  bool decodes() const { return pipe_.rank() >= head_; }
  bool is_head() const { return pipe_.rank() == head_; }
  bool is_tail() const { return pipe_.rank() == tail_; }
  const MicroBatch& batch(int micro) const { return batches_[static_cast<std::size_t>(micro)]; }
  GreedyRows& rows(int micro) { return rows_[static_cast<std::size_t>(micro)]; }

  // What comes before the first decoded token passes through all stages; those that decode make their caches.
  void prefill(int begin, int end) {
    pipe_.enter(Phase::kDecoding, begin);
    StageCalls calls;
    calls.receive_shape = [&](int i) { return stage_.prefill_shape(batch(begin + i)); };
    calls.forward = [&](int i, StageIO in) {
      Prefill done = stage_.prefill(std::move(in), batch(begin + i), limits_.max_tokens);
      TT_CHECK((done.decoder != nullptr) == decodes(), "stage {} of {} decodes from {} on", pipe_.rank(),
               pipe_.size(), head_);
      if (done.decoder) decoders_.push_back(std::move(done.decoder));
      return std::move(done.out);
    };
    StageRun run(pipe_, std::move(calls), /*received_gradients=*/false, /*backward=*/false);
    run.run(schedule_actions("forward_only", {pipe_.size(), end - begin, pipe_.size()}, pipe_.rank()));
  }

  // The whole decoder is on this stage.
  void decode_here(int micro) {
    pipe_.enter(Phase::kDecoding, micro);
    at::Tensor ids = decoders_.front()->first_ids();
    for (std::int64_t t = 0; t < limits_.max_tokens && !rows(micro).done(); ++t) {
      ids = decoders_.front()->step(ids);
      rows(micro).add(ids);
    }
  }

  void decode_wave(int begin, int end) {
    pipe_.enter(Phase::kDecoding, begin);
    std::vector<int> active(static_cast<std::size_t>(end - begin));
    std::iota(active.begin(), active.end(), begin);
    Outgoing out;
    for (std::int64_t t = 0; t < limits_.max_tokens; ++t) {
      const std::vector<int> round = active;
      for (const int micro : round)
        if (!token(micro, t, *decoders_[static_cast<std::size_t>(micro - begin)], out))
          std::erase(active, micro);
    }
    exchange(out, {}, -1);
  }

  // Token t of every row of a micro-batch; false if its rows had all ended before.
  bool token(int micro, std::int64_t t, StageDecoder& decoder, Outgoing& out) {
    bool going = true;
    at::Tensor in;
    if (is_head()) {
      if (t > 0) {
        in = at::empty({batch(micro).rows()}, at::TensorOptions(at::kLong));
        exchange(out, {in}, tail_);
        rows(micro).add(in);
        going = !rows(micro).done();
      } else {
        in = decoder.first_ids();
        exchange(out, {}, -1);
      }
    } else {
      const StageShape shape = stage_.prefill_shape(batch(micro));
      const at::Tensor word = at::empty({1}, at::TensorOptions(at::kLong).device(shape.options.device()));
      in = at::empty({batch(micro).rows(), shape.width}, shape.options);
      exchange(out, {word, in}, pipe_.rank() - 1);
      going = word.item<std::int64_t>() != 0;
    }
    const at::Tensor result = going ? decoder.step(in) : at::Tensor();
    if (is_tail())
      out = finish(micro, t, result);
    else
      out = hand_on(micro, going, result);
    return going;
  }

  // On the last stage: the ids go back for the next token, if there is one.
  Outgoing finish(int micro, std::int64_t t, const at::Tensor& ids) {
    if (!ids.defined()) return {};
    rows(micro).add(ids);
    if (t + 1 == limits_.max_tokens) return {};
    return {{ids.contiguous()}, head_};
  }

  Outgoing hand_on(int micro, bool going, const at::Tensor& x) {
    const StageShape shape = stage_.prefill_shape(batch(micro));
    const at::Tensor sent = going ? x.to(shape.options).contiguous()
                                  : at::zeros({batch(micro).rows(), shape.width}, shape.options);
    const at::Tensor word =
        at::full({1}, going ? 1 : 0, at::TensorOptions(at::kLong).device(shape.options.device()));
    return {{word, sent}, pipe_.rank() + 1};
  }

  // Sends what the work before left and receives what the next one needs, at once.
  void exchange(Outgoing& out, const std::vector<at::Tensor>& in, int from) {
    std::vector<Send> sends;
    std::vector<Receive> receives;
    for (const at::Tensor& x : out.kept) sends.push_back({out.to, buffer_of(x)});
    for (const at::Tensor& x : in) receives.push_back({from, buffer_of(x)});
    if (!sends.empty() || !receives.empty()) pipe_.exchange(sends, receives, Traffic::kPipeline);
    out = {};
  }

  // What the last stage found, on all stages.
  std::vector<TokenRows> shared() {
    std::vector<TokenRows> found;
    for (const GreedyRows& rows : rows_) found.push_back(rows.found());
    if (pipe_.size() == 1) return found;
    std::vector<std::int64_t> lengths;
    std::vector<std::int32_t> ids;
    for (const TokenRows& rows : found)
      for (const auto& row : rows) {
        lengths.push_back(static_cast<std::int64_t>(row.size()));
        ids.insert(ids.end(), row.begin(), row.end());
      }
    pipe_.broadcast({lengths.data(), static_cast<std::int64_t>(lengths.size()), DType::kInt64}, tail_,
                    Traffic::kControl);
    ids.resize(static_cast<std::size_t>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0})));
    pipe_.broadcast({ids.data(), static_cast<std::int64_t>(ids.size()), DType::kInt32}, tail_,
                    Traffic::kControl);
    std::size_t row_at = 0;
    auto id_at = ids.begin();
    for (TokenRows& rows : found)
      for (auto& row : rows) {
        row.assign(id_at, id_at + lengths[row_at]);
        id_at += lengths[row_at++];
      }
    return found;
  }

  Communicator& pipe_;
  PipelineStage& stage_;
  const std::vector<MicroBatch>& batches_;
  DecodingLimits limits_;
  int head_, tail_;
  std::vector<GreedyRows> rows_;
  std::vector<std::unique_ptr<StageDecoder>> decoders_;  // of the wave
};

}  // namespace

std::vector<TokenRows> decode_through_pipe(Communicator& pipe, int first_decoding, PipelineStage& stage,
                                           const std::vector<MicroBatch>& batches,
                                           const DecodingLimits& limits) {
  const c10::NoGradGuard no_grad;
  TT_CHECK(first_decoding < pipe.size(), "no stage of {} decodes", pipe.size());
  return Decoding(pipe, first_decoding, stage, batches, limits).run();
}

}  // namespace trimtab
