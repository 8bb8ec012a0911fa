// SPDX-License-Identifier: Apache-2.0
//
// Decoding of all rows of a batch at once: one token a row and step, through the decoder layers of one stage,
// against keys and values that stay on it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/ops/cross_attention.h"
#include "models/ops/decode_attention.h"
#include "models/t5/t5_layers.h"
#include "parallel/pipeline_stage.h"

namespace trimtab {

// The decoder of a stage as decoding needs it; everything is borrowed from the stage, which must outlive it.
struct T5Decoding {
  const T5Config& config;
  const std::vector<T5DecoderLayer>& layers;
  const at::Tensor& bias_table;  // [buckets, h]
  Communicator& tensor;
  std::function<at::Tensor(const at::Tensor& ids)> embed;  // int64 [t] -> [t, d]; empty: activations come in
  // [t, d] before the final norm -> this tensor rank's logits, float32 [t, v]; last stage only.
  std::function<at::Tensor(const at::Tensor& decoder_td)> logits;
};

// What one layer has seen.
struct T5LayerCache {
  KvCache self;
  KeysAndValues cross;
};

// What decoding begins with.
struct T5DecodingStart {
  const at::Tensor& encoder_td;  // states of the encoder after its final norm
  const RowLayout& encoder;
  const T5Pass& pass;
  std::int64_t max_positions;  // of a row in the decoder
};

// Of all layers, before anything is decoded; with what methods put in front of keys and values. Like all of
// this without autograd. Keeps nothing of `start`.
std::vector<T5LayerCache> make_t5_caches(const T5Decoding& model, const T5DecodingStart& start);

// Positions in front of the first decoded token, x_td [t, d] in rows `layout`, through all layers into their
// caches -> [t, d] for the next stage; undefined on the last one, where nobody reads it.
at::Tensor fill_t5_caches(const T5Decoding& model, std::vector<T5LayerCache>& caches, at::Tensor x_td,
                          const RowLayout& layout, const T5Pass& pass);

std::unique_ptr<StageDecoder> make_t5_decoder(T5Decoding model, std::vector<T5LayerCache> caches);

}  // namespace trimtab
