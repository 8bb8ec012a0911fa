// SPDX-License-Identifier: Apache-2.0
//
// Decoding of all rows of a batch at once: one token a row and step, through the layers of one stage, against
// keys and values that stay on it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/llama/llama_layers.h"
#include "models/ops/decode_attention.h"
#include "parallel/pipeline_stage.h"

namespace trimtab {

// A stage as decoding needs it; what is a reference is borrowed from the stage, which must outlive it.
struct LlamaDecoding {
  const std::vector<LlamaLayer>& layers;
  RotaryTable& rotary;
  std::int64_t vocabulary;  // rows of the embedding table, of all ranks together
  Communicator& tensor;
  at::Tensor first_ids;                                    // int64 [rows], first stage only
  std::function<at::Tensor(const at::Tensor& ids)> embed;  // int64 [t] -> [t, d]; empty: activations come in
  // [t, d] before the final norm -> this tensor rank's logits, float32 [t, v]; last stage only.
  std::function<at::Tensor(const at::Tensor& last_td)> logits;
};

// `caches`: those of each layer, filled with what comes before the first token. No autograd.
std::unique_ptr<StageDecoder> make_llama_decoder(LlamaDecoding model, std::vector<KvCache> caches);

}  // namespace trimtab
