// SPDX-License-Identifier: Apache-2.0
//
// The part of a T5 that one rank runs: a range of encoder and decoder layers, and of each layer this rank's
// heads, feed-forward columns and vocabulary rows. Embedding and head live on the stages that need them. Only
// the slabs that the stage holds are read from the weights.
#pragma once

#include <memory>

#include "models/model.h"
#include "models/t5/t5_config.h"
#include "runtime/tensor_source.h"
#include "runtime/world.h"

namespace trimtab {

// Layers [begin, end) of each stack.
struct T5StageRange {
  std::int64_t encoder_begin = 0, encoder_end = 0;
  std::int64_t decoder_begin = 0, decoder_end = 0;
};

// The whole model on one stage.
T5StageRange whole_model(const T5Config& config);

struct T5StageOptions {
  T5StageRange range;
  DType compute =
      DType::kFloat32;  // of weights and activations; norms, softmax and losses are float32 always
  at::Device device = at::kCPU;
  bool sequence_parallel = false;
};

// Collective over nothing; throws Error when a weight is missing or has another shape (file, name and
// shapes).
std::unique_ptr<ModelStage> make_t5_stage(const T5Config& config, const TensorSource& weights, World& world,
                                          const T5StageOptions& options);

}  // namespace trimtab
