// SPDX-License-Identifier: Apache-2.0
//
// The numbers that make a decoder-only model of the Llama kind: Llama 1 to 3, Mistral, SmolLM, Qwen2 (biases
// on queries, keys and values) and Qwen3 (a norm on each head's query and key).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/formats/weight_files.h"

namespace trimtab {

// How the angles of rotary positions are stretched to more positions than the model began with.
struct RotaryScaling {
  // "none"; "linear": all angles / factor; "divisors": each pair's by its own, as GGUF files have it;
  // "llama3": slow pairs / factor, fast ones as they are, in between a mixture (transformers,
  // modeling_rope_utils.py: _compute_llama3_parameters).
  std::string kind = "none";
  double factor = 1.0;
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  std::int64_t original_positions = 8192;
  std::vector<float> divisors{};  // [head_dim / 2]
  bool operator==(const RotaryScaling&) const = default;
};

struct LlamaConfig {
  std::int64_t vocab = 32000;  // rows of the embedding table
  std::int64_t d_model = 4096;
  std::int64_t layers = 32;
  std::int64_t heads = 32;
  std::int64_t kv_heads = 32;   // each serves heads / kv_heads heads of queries
  std::int64_t head_dim = 128;  // heads * head_dim need not equal d_model
  std::int64_t d_ff = 11008;
  std::int64_t max_positions = 2048;  // that the model was trained for, its attention window included
  double norm_epsilon = 1e-5;
  double rotary_base = 10000.0;
  RotaryScaling rotary_scaling;
  // Which columns of a head turn together: i and i + head_dim / 2, as Hugging Face and what is read from GGUF
  // have them, or 2 i and 2 i + 1, as the original Llama has them: for stores that keep its order of rows.
  bool rotary_interleaved = false;
  bool qkv_bias = false;   // Qwen2
  bool qk_norm = false;    // Qwen3
  bool tied_head = false;  // the output head is the embedding table
  std::int64_t pad_id = 0;
  std::int64_t bos_id = -1;  // -1: none
  std::int64_t eos_id = 2;

  std::int64_t inner() const { return heads * head_dim; }
  std::int64_t kv_inner() const { return kv_heads * head_dim; }
  bool operator==(const LlamaConfig&) const = default;
};

// The heads, inner columns and vocabulary rows that the k-th of m tensor ranks holds of each layer. Throws
// ConfigError if there are more ranks than heads of keys and values.
LlamaConfig rank_share(const LlamaConfig& config, int k, int m);

// Throws ConfigError that names the offending field when a number makes no sense.
void check(const LlamaConfig& config);

// Number of parameters of the whole model, the same as the sum over llama_weights().
std::int64_t parameter_count(const LlamaConfig& config);

// All weights in a fixed order, by their Hugging Face names, which are the logical names in every file of
// ours: model.embed_tokens.weight, layers, model.norm.weight, lm_head.weight (only when untied).
WeightShapes llama_weights(const LlamaConfig& config);

// The angle by which each pair of columns turns from one position to the next, [head_dim / 2], in the float32
// arithmetic of the reference implementation.
std::vector<float> rotary_frequencies(const LlamaConfig& config);

}  // namespace trimtab
