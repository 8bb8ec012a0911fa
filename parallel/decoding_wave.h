// SPDX-License-Identifier: Apache-2.0
//
// The micro-batches of a pipeline that decode at the same time: as many as there are stages that decode, so
// that each of those always has another micro-batch's token to work on, and holds the caches of no more.
// Stages without decoder layers work on what comes before the next wave meanwhile.
#pragma once

#include <memory>
#include <vector>

#include "parallel/micro_batch.h"
#include "parallel/pipeline_stage.h"
#include "runtime/communicator.h"

namespace trimtab {

class DecodingWave {
 public:
  // What one piece of work leaves for the next exchange; the tensors stay alive until then.
  struct Outgoing {
    std::vector<at::Tensor> kept;
    int to = -1;
  };

  // The stages from `head` on decode. Everything is borrowed.
  DecodingWave(Communicator& pipe, int head, PipelineStage& stage, const std::vector<MicroBatch>& batches);

  int count() const { return static_cast<int>(batches_.size()); }  // micro-batches of all waves
  int size() const { return tail_ - head_ + 1; }
  int head() const { return head_; }
  int tail() const { return tail_; }
  bool decodes() const { return pipe_.rank() >= head_; }
  bool is_head() const { return pipe_.rank() == head_; }
  bool is_tail() const { return pipe_.rank() == tail_; }
  Communicator& pipe() const { return pipe_; }
  const MicroBatch& batch(int micro) const { return batches_[static_cast<std::size_t>(micro)]; }

  // What comes before the first decoded token of the micro-batches [begin, end) passes through all stages;
  // those that decode make caches of at most `max_tokens` steps, which end those of the wave before.
  void prefill(int begin, int end, std::int64_t max_tokens);
  StageDecoder& decoder(int micro) const { return *decoders_[static_cast<std::size_t>(micro - begin_)]; }

  // An empty tensor for the activations of one token a row.
  at::Tensor activations(int micro) const;
  // As they travel.
  at::Tensor as_sent(const at::Tensor& x, int micro) const;
  // Sends what the work before left, which is then empty, and receives what the next one needs, at once.
  void exchange(Outgoing& out, const std::vector<at::Tensor>& in, int from) const;

 private:
  Communicator& pipe_;
  int head_, tail_;
  PipelineStage& stage_;
  const std::vector<MicroBatch>& batches_;
  int begin_ = 0;
  std::vector<std::unique_ptr<StageDecoder>> decoders_;
};

}  // namespace trimtab
