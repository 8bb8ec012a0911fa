// SPDX-License-Identifier: Apache-2.0
//
// What a pipeline asks of the part of a model that it runs. Two tensors pass from stage to stage, so that an
// encoder-decoder can be cut anywhere and the pipeline knows nothing of skip connections: a stage hands on
// what later stages read, and autograd adds up what comes back for it. A decoder-only model leaves `encoder`
// undefined.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <cstdint>
#include <memory>

#include "parallel/micro_batch.h"

namespace trimtab {

// Both token-major [tokens, width]. Undefined where not there yet.
struct StageIO {
  at::Tensor encoder;
  at::Tensor decoder;
};

// What a stage receives for a micro-batch. Every rank knows it by itself, since it knows the batch.
struct StageShape {
  std::int64_t encoder_tokens = -1;  // -1: nothing comes in this slot
  std::int64_t decoder_tokens = -1;
  std::int64_t width = 0;
  at::TensorOptions options;  // type and device of activations
};

// Sums over the target tokens of a micro-batch; the caller divides as it likes (the reference: not at all).
struct LossSums {
  // float32 scalar with gradient: cross entropy + z_loss * log(Z)^2, summed over target tokens.
  at::Tensor loss;
  std::int64_t tokens = 0;  // target tokens
};

// A micro-batch while it is decoded: the caches of this stage's decoder layers.
class StageDecoder {
 public:
  virtual ~StageDecoder() = default;
  // What the first step takes, int64 [rows]: first stage with decoder layers only.
  virtual at::Tensor first_ids() const = 0;
  // One token of each row -> activations [rows, width]. The first stage with decoder layers takes ids, int64
  // [rows], the others the activations of the one before.
  virtual at::Tensor step(const at::Tensor& in) = 0;
  // Each row as if its last `tokens` steps had not been.
  virtual void rewind(std::int64_t tokens) = 0;
  // What follows by the activations of a step; last stage only, on any device, collective over its tensor
  // ranks. The likeliest ids, int64 [rows]. Throws Error if the model's logits are not finite, as does the
  // next.
  virtual at::Tensor most_likely(const at::Tensor& x) = 0;
  // The log-likelihoods of each of `ids`, int64 [n] -> float32 [rows, n].
  virtual at::Tensor log_likelihoods(const at::Tensor& x, const at::Tensor& ids) = 0;
};

// What prefill() leaves: what the next stage needs for its own, and the caches.
struct Prefill {
  StageIO out;
  std::unique_ptr<StageDecoder> decoder;  // null on a stage that does not decode
};

class PipelineStage {
 public:
  virtual ~PipelineStage() = default;

  virtual StageShape receive_shape(const MicroBatch& batch) const = 0;
  // The first stage ignores `in`.
  virtual StageIO forward(StageIO in, const MicroBatch& batch) = 0;
  // Last stage only.
  virtual LossSums loss(const StageIO& out, const MicroBatch& batch) = 0;

  // Decoding. prefill() runs what comes before the first decoded token and makes the caches of at most
  // `max_tokens` steps; it receives prefill_shape(). The stages that decode are the last ones of the
  // pipeline.
  virtual StageShape prefill_shape(const MicroBatch& batch) const = 0;
  virtual Prefill prefill(StageIO in, const MicroBatch& batch, std::int64_t max_tokens) = 0;
};

}  // namespace trimtab
