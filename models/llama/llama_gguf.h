// SPDX-License-Identifier: Apache-2.0
//
// Models of the Llama kind in GGUF files: hyperparameters as a plain struct, and weights under their Hugging
// Face names with rows in Hugging Face's order. The format itself is models/formats/gguf.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/formats/gguf.h"
#include "runtime/tensor_source.h"

namespace trimtab {

struct LlamaGgufConfig {
  std::string architecture;  // "llama", "qwen2" or "qwen3"
  std::int64_t layers = 0;
  std::int64_t d_model = 0;  // of the residual stream
  std::int64_t d_ff = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab = 0;  // rows of the embedding
  std::int64_t max_positions = 0;
  double norm_epsilon = 0;
  double rotary_base = 10000;
  double rotary_factor = 1;  // all angles are divided by it
  // Llama 3's scaling, evaluated: the frequency of each pair is divided by these, too [head_dim / 2]. Empty:
  // by 1.
  std::vector<float> rotary_divisors;
  bool tied_head = false;  // the file has no output.weight
  bool qkv_bias = false;
  bool qk_norm = false;
  std::int64_t pad_id = -1;  // -1: the file names none
  std::int64_t bos_id = -1;
  std::int64_t eos_id = -1;
};

// Throws ConfigError for an architecture or a variant that we do not run (mixture of experts, partial rotary
// positions, other scalings of them than linear and Llama 3's, sliding windows, scaled attention or logits),
// Error for metadata that is missing, of the wrong type or contradicts the tensors.
LlamaGgufConfig read_llama_gguf_config(const Gguf& file);

// The weights as model.layers.0.self_attn.q_proj.weight and so on. The file of a "llama" holds the rows of
// each query and key head in the order of interleaved rotary pairs (0, h, 1, h + 1, ..., with h half of the
// head); they are given back in that of Hugging Face (0, 1, ...), which rotates halves. Throws what
// read_llama_gguf_config throws, and Error that names a tensor that no such model has.
std::unique_ptr<TensorSource> llama_gguf_weights(std::unique_ptr<Gguf> file);

}  // namespace trimtab
