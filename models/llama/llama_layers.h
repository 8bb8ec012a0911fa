// SPDX-License-Identifier: Apache-2.0
//
// A layer of Llama as plain structs over tensors: pre-norm, grouped heads of keys and values, rotary
// positions, SwiGLU. Where Qwen2 and Qwen3 differ, a tensor is undefined. Shapes: t = tokens, d = d_model, w
// = head_dim, q and k = this rank's heads of queries and of keys, f = this rank's share of d_ff.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/llama/llama_config.h"
#include "models/model.h"
#include "models/ops/self_attention.h"
#include "models/weight_loader.h"
#include "parallel/linear.h"
#include "parallel/token_split.h"

namespace trimtab {

// Tokens of which it does not matter where rows begin, whole on every tensor rank.
inline TokenSplit unsplit(const at::Tensor& x_td, Communicator& tensor) {
  return {RowLayout({x_td.size(0)}), tensor, /*split=*/false};
}

struct LlamaAttention {
  LlamaAttention(const std::string& name, const LlamaConfig& config, WeightLoader& loader,
                 Communicator& tensor);
  // [t, d] -> [t, (q + 2 k) w]: queries, keys and values as attention takes them, not yet turned. Of own
  // tokens those of all, or without a split, as in decoding, of whole rows.
  at::Tensor project(const at::Tensor& x_td, const TokenSplit& tokens, const AdapterPass* pass) const;
  at::Tensor project(const at::Tensor& x_td) const { return project(x_td, unsplit(x_td, *tensor), nullptr); }

  at::Tensor norm;
  ColumnParallelLinear qkv;   // [(q + 2 k) w, d], with a bias in Qwen2
  RowParallelLinear o;        // [d, q w]
  at::Tensor q_norm, k_norm;  // [w] in Qwen3, otherwise undefined
  AttentionHeads heads;       // of this rank
  double epsilon;
  Communicator* tensor;
  const KeyValueAdapter* prefix = nullptr;  // in front of each row, or none
};

struct LlamaFeedForward {
  LlamaFeedForward(const std::string& prefix, const LlamaConfig& config, WeightLoader& loader,
                   Communicator& tensor);
  // [t, d] -> [t, d], to be added to x: down(silu(gate(norm(x))) * up(norm(x)))
  at::Tensor operator()(const at::Tensor& x_td, const TokenSplit& tokens, const AdapterPass* pass) const;
  at::Tensor operator()(const at::Tensor& x_td) const {
    return (*this)(x_td, unsplit(x_td, *tensor), nullptr);
  }

  at::Tensor norm;
  ColumnParallelLinear gate_up;  // [2 f, d]
  RowParallelLinear down;        // [d, f]
  double epsilon;
  Communicator* tensor;
};

struct LlamaLayer {
  LlamaAttention attention;
  LlamaFeedForward feed_forward;
};

// The maps and attentions of the whole model by name, in order of the layers.
std::vector<std::string> llama_linear_modules(const LlamaConfig& config);
std::vector<std::string> llama_attention_modules(const LlamaConfig& config);

LlamaLayer load_llama_layer(std::int64_t layer, const LlamaConfig& config, WeightLoader& loader,
                            Communicator& tensor);

}  // namespace trimtab
