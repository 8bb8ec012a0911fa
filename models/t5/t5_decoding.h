// SPDX-License-Identifier: Apache-2.0
//
// Greedy decoding of all rows of a batch at once: one token a row and step, against cached keys and values.
// The most likely token wins; of equal ones the lower id.
#pragma once

#include <functional>
#include <vector>

#include "models/t5/t5_layers.h"

namespace trimtab {

// The decoder as decoding needs it; everything is borrowed from the stage.
struct T5Decoding {
  const T5Config& config;
  const std::vector<T5DecoderLayer>& layers;
  const at::Tensor& bias_table;                                         // [buckets, h]
  const at::Tensor& norm;                                               // [d]
  std::function<at::Tensor(const at::Tensor& ids)> embed;               // int64 [t] -> [t, d]
  std::function<at::Tensor(const at::Tensor& decoder_td)> most_likely;  // [t, d] -> int64 [t]
};

// encoder_td: states of the encoder after its final norm. Returns for each row the ids up to and without the
// end of sequence, at most `max_tokens`. No autograd.
std::vector<std::vector<std::int32_t>> decode_greedily(const T5Decoding& model, const at::Tensor& encoder_td,
                                                       const RowLayout& encoder, std::int64_t max_tokens);

}  // namespace trimtab
