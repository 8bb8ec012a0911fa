// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_of_gguf.h"

#include <utility>

#include "models/formats/json_fields.h"
#include "models/formats/weight_files.h"
#include "models/llama/llama_gguf.h"

namespace trimtab {
namespace {

RotaryScaling rotary_scaling_of(const LlamaGgufConfig& gguf) {
  RotaryScaling scaling;
  if (gguf.rotary_divisors.empty()) {
    scaling.factor = gguf.rotary_factor;
    if (scaling.factor != 1) scaling.kind = "linear";
    return scaling;
  }
  scaling.kind = "divisors";
  for (const float divisor : gguf.rotary_divisors)
    scaling.divisors.push_back(divisor * static_cast<float>(gguf.rotary_factor));
  return scaling;
}

// Throws ConfigError that names the file for numbers that make no sense.
LlamaConfig llama_config_of(const LlamaGgufConfig& gguf, const std::string& path) {
  LlamaConfig out;
  out.vocab = gguf.vocab;
  out.d_model = gguf.d_model;
  out.layers = gguf.layers;
  out.heads = gguf.heads;
  out.kv_heads = gguf.kv_heads;
  out.head_dim = gguf.head_dim;
  out.d_ff = gguf.d_ff;
  out.max_positions = gguf.max_positions;
  out.norm_epsilon = gguf.norm_epsilon;
  out.rotary_base = gguf.rotary_base;
  out.rotary_scaling = rotary_scaling_of(gguf);
  out.qkv_bias = gguf.qkv_bias;
  out.qk_norm = gguf.qk_norm;
  out.tied_head = gguf.tied_head;
  out.eos_id = gguf.eos_id >= 0 ? gguf.eos_id : out.eos_id;
  out.pad_id = gguf.pad_id >= 0 ? gguf.pad_id : 0;  // padding is never computed
  out.bos_id = gguf.bos_id;
  check_with_place(out, path);
  return out;
}

}  // namespace

LlamaOfGguf open_llama_gguf(const std::string& path) {
  auto file = std::make_unique<Gguf>(path);
  const LlamaConfig config = llama_config_of(read_llama_gguf_config(*file), path);
  auto source = llama_gguf_weights(std::move(file));
  const WeightShapes weights = llama_weights(config);
  check_weights(*source, weights, {}, {}, "Llama");
  return {config, weight_view(std::move(source), weights, {})};
}

}  // namespace trimtab
