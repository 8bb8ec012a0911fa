// SPDX-License-Identifier: Apache-2.0
//
// Greedy decoding of all rows of a batch at once: one token a row and step, through the decoder layers of one
// stage, against keys and values that stay on it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/t5/t5_layers.h"
#include "parallel/pipeline_stage.h"

namespace trimtab {

// The decoder of a stage as decoding needs it; everything is borrowed from the stage, which must outlive it.
struct T5Decoding {
  const T5Config& config;
  const std::vector<T5DecoderLayer>& layers;
  const at::Tensor& bias_table;                            // [buckets, h]
  std::function<at::Tensor(const at::Tensor& ids)> embed;  // int64 [t] -> [t, d]; empty: activations come in
  // [t, d] before the final norm -> int64 [t]; empty: activations go out.
  std::function<at::Tensor(const at::Tensor& decoder_td)> most_likely;
};

// What decoding begins with.
struct T5DecodingStart {
  const at::Tensor& encoder_td;  // states of the encoder after its final norm
  const RowLayout& encoder;
  const T5Pass& pass;
  std::int64_t max_tokens;
};

// No autograd. Keeps nothing of `start`.
std::unique_ptr<StageDecoder> make_t5_decoder(T5Decoding model, const T5DecodingStart& start);

}  // namespace trimtab
