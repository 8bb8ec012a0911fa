// SPDX-License-Identifier: Apache-2.0
//
// A model of a few numbers that a pipeline can cut anywhere: each stage multiplies both slots by its weight,
// and from a given stage on the decoder reads the encoder. What it decodes depends on every stage.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "parallel/pipeline_stage.h"
#include "runtime/check.h"

namespace trimtab::test {

inline constexpr std::int64_t kToyWidth = 3;
inline constexpr std::int64_t kToyEos = 3;

inline MicroBatch toy_batch(int number) {
  MicroBatch batch;
  batch.encoder = RowLayout({1 + number % 3, 2});
  batch.decoder = RowLayout({1, 1 + number % 2});
  batch.encoder_ids = at::arange(batch.encoder.tokens(), at::kLong) + number;
  batch.decoder_ids = at::arange(batch.decoder.tokens(), at::kLong) + 2 * number;
  batch.targets = batch.decoder_ids;
  batch.lanes = {0, 0};
  batch.samples = {static_cast<std::uint64_t>(2 * number), static_cast<std::uint64_t>(2 * number + 1)};
  return batch;
}

class ToyStage : public PipelineStage {
 public:
  // Stages from `first_decoding` on have the decoder.
  ToyStage(int stage, int first_decoding)
      : weight(at::tensor({0.5, 0.7, 0.9}, at::kFloat) + 0.1 * stage),
        stage_(stage),
        first_decoding_(first_decoding) {}

  StageShape receive_shape(const MicroBatch& batch) const override {
    StageShape shape;
    shape.width = kToyWidth;
    shape.options = at::kFloat;
    if (stage_ > 0) shape.encoder_tokens = batch.encoder.tokens();
    if (stage_ > first_decoding_) shape.decoder_tokens = batch.decoder.tokens();
    return shape;
  }
  StageIO forward(StageIO io, const MicroBatch& batch) override {
    if (stage_ == 0) io.encoder = embed(batch.encoder_ids);
    if (stage_ < first_decoding_)
      return {(io.encoder * weight).tanh(), {}};  // beyond, the slot is passed through
    if (stage_ == first_decoding_) io.decoder = embed(batch.decoder_ids);
    return {io.encoder, (io.decoder * weight + io.encoder.sum(0)).tanh()};
  }
  LossSums loss(const StageIO& out, const MicroBatch& batch) override {
    return {(out.decoder + 0.5).square().sum(), batch.decoder.tokens()};
  }

  StageShape prefill_shape(const MicroBatch& batch) const override {
    StageShape shape = receive_shape(batch);
    shape.decoder_tokens = -1;
    return shape;
  }
  Prefill prefill(StageIO in, const MicroBatch& batch, std::int64_t) override;

  at::Tensor weight;

 private:
  static at::Tensor embed(const at::Tensor& ids) {
    return at::stack({ids, ids + 1, ids * ids}, 1).to(at::kFloat) * 0.01;
  }
  int stage_, first_decoding_;
};

// Carries [id, sample and encoder, stages passed]; the next id is a sum of them.
class ToyDecoder : public StageDecoder {
 public:
  ToyDecoder(bool head, at::Tensor row_numbers) : head_(head), rows_(std::move(row_numbers)) {}
  at::Tensor first_ids() const override { return at::zeros_like(rows_, at::kLong); }
  at::Tensor step(const at::Tensor& in) override {
    ++steps_;
    at::Tensor x = head_ ? at::stack({in.to(at::kFloat), rows_, at::zeros_like(rows_)}, 1) : in.clone();
    x.select(1, 2).add_(steps_);  // a cache that is not stepped in time gives other ids
    return x;
  }
  void rewind(std::int64_t tokens) override { steps_ -= tokens; }
  at::Tensor most_likely(const at::Tensor& x) override { return sum(x).remainder(11).to(at::kLong); }
  at::Tensor log_likelihoods(const at::Tensor& x, const at::Tensor& ids) override {
    return -(sum(x).unsqueeze(1) * 0.25 + ids.to(at::kFloat));
  }

 private:
  static at::Tensor sum(const at::Tensor& x) { return x.select(1, 0) * 5 + x.select(1, 1) + x.select(1, 2); }
  bool head_;
  at::Tensor rows_;
  std::int64_t steps_ = 0;
};

inline Prefill ToyStage::prefill(StageIO in, const MicroBatch& batch, std::int64_t) {
  if (stage_ == 0) in.encoder = embed(batch.encoder_ids);
  Prefill done{{in.encoder + 1, {}}, nullptr};
  if (stage_ < first_decoding_) return done;
  TT_CHECK(done.out.encoder.size(0) == batch.encoder.tokens() && !in.decoder.defined(), "not encoded");
  const double states = std::round(done.out.encoder.select(1, 0).sum().item<double>() * 100);
  at::Tensor rows = at::empty({batch.rows()}, at::kFloat);
  for (std::int64_t r = 0; r < batch.rows(); ++r)
    rows[r] = states + static_cast<double>(batch.samples[static_cast<std::size_t>(r)]);
  // Each decoding stage saw more of it; only the first one's states count.
  done.decoder = std::make_unique<ToyDecoder>(stage_ == first_decoding_, rows);
  return done;
}

}  // namespace trimtab::test
