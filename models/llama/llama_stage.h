// SPDX-License-Identifier: Apache-2.0
//
// The part of a decoder-only model that one rank runs: a range of layers, and of each this rank's heads,
// feed-forward columns and vocabulary rows. Activations of whole rows (llama_rows.h) travel in the decoder
// slot. Behind its attention the last layer goes on only at positions whose next token is a target, and so
// does the head. Only the slabs that the stage holds are read from the weights.
#pragma once

#include <memory>

#include "models/llama/llama_config.h"
#include "models/model.h"
#include "runtime/tensor_source.h"
#include "runtime/world.h"

namespace trimtab {

struct LlamaStageOptions {
  std::int64_t begin = 0, end = 0;  // layers
  DType compute =
      DType::kFloat32;  // of weights and activations; norms, softmax and losses are float32 always
  at::Device device = at::kCPU;
  bool sequence_parallel = false;
};

// Throws ConfigError when there are more tensor ranks than heads of keys and values, Error when a weight is
// missing or has another shape.
std::unique_ptr<ModelStage> make_llama_stage(const LlamaConfig& config, const TensorSource& weights,
                                             World& world, const LlamaStageOptions& options);

}  // namespace trimtab
