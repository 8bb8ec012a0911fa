// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_config.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "runtime/check.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

void need_positive(const char* field, std::int64_t value) {
  if (value < 1) fail_config("Llama config: {} is {}, must be at least 1", field, value);
}

// Far above any model, and so that all counts of elements and bytes fit into 63 bits: lists of weights are
// made layer by layer, and files can say anything.
constexpr std::int64_t kMostLayers = 10000;
constexpr std::int64_t kMostWidth = std::int64_t{1} << 20;
constexpr std::int64_t kMostIds = std::numeric_limits<std::int32_t>::max();

void need_within(const char* field, std::int64_t value, std::int64_t most) {
  need_positive(field, value);
  if (value > most) fail_config("Llama config: {} is {}; at most {} make sense", field, value, most);
}

void check_sizes(const LlamaConfig& config) {
  need_within("layers", config.layers, kMostLayers);
  need_within("vocab", config.vocab, kMostIds);
  need_within("max_positions", config.max_positions, kMostIds);
  need_within("d_model", config.d_model, kMostWidth);
  need_within("d_ff", config.d_ff, kMostWidth);
  need_within("heads", config.heads, kMostWidth);
  need_within("kv_heads", config.kv_heads, kMostWidth);
  need_within("head_dim", config.head_dim, kMostWidth);
  need_within("heads * head_dim", config.inner(), kMostWidth);
}

void check_scaling(const RotaryScaling& scaling) {
  if (scaling.kind != "none" && scaling.kind != "linear" && scaling.kind != "llama3" &&
      scaling.kind != "divisors")
    fail_config("Llama config: rotary scaling is '{}', known are none, linear and llama3", scaling.kind);
  if (scaling.kind != "none" && !(scaling.factor >= 1 && std::isfinite(scaling.factor)))
    fail_config("Llama config: the rotary scaling factor is {}, must be a number from 1 on", scaling.factor);
  if (scaling.kind != "llama3") return;
  if (!(scaling.low_frequency_factor > 0) || !(scaling.high_frequency_factor > scaling.low_frequency_factor))
    fail_config("Llama config: the rotary frequency factors are {} and {}, must be positive and ascending",
                scaling.low_frequency_factor, scaling.high_frequency_factor);
  need_within("original positions of the rotary scaling", scaling.original_positions, kMostIds);
}

void add_layer(WeightShapes& weights, const LlamaConfig& c, std::int64_t layer) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  const auto add = [&](const char* name, Shape shape) {
    weights.push_back({prefix + name, std::move(shape)});
  };
  add("input_layernorm.weight", {c.d_model});
  add("self_attn.q_proj.weight", {c.inner(), c.d_model});
  add("self_attn.k_proj.weight", {c.kv_inner(), c.d_model});
  add("self_attn.v_proj.weight", {c.kv_inner(), c.d_model});
  if (c.qkv_bias) {
    add("self_attn.q_proj.bias", {c.inner()});
    add("self_attn.k_proj.bias", {c.kv_inner()});
    add("self_attn.v_proj.bias", {c.kv_inner()});
  }
  if (c.qk_norm) {
    add("self_attn.q_norm.weight", {c.head_dim});
    add("self_attn.k_norm.weight", {c.head_dim});
  }
  add("self_attn.o_proj.weight", {c.d_model, c.inner()});
  add("post_attention_layernorm.weight", {c.d_model});
  add("mlp.gate_proj.weight", {c.d_ff, c.d_model});
  add("mlp.up_proj.weight", {c.d_ff, c.d_model});
  add("mlp.down_proj.weight", {c.d_model, c.d_ff});
}

// Pairs that turn less than low_frequency_factor times over the original positions are slowed down by the
// factor, those that turn more than high_frequency_factor times are not.
float llama3_frequency(float frequency, const RotaryScaling& scaling) {
  const double wavelength = 2 * std::numbers::pi / static_cast<double>(frequency);
  const double turns = static_cast<double>(scaling.original_positions) / wavelength;
  const auto slow = static_cast<float>(static_cast<double>(frequency) / scaling.factor);
  if (turns < scaling.low_frequency_factor) return slow;
  if (turns > scaling.high_frequency_factor) return frequency;
  const auto keep = static_cast<float>((turns - scaling.low_frequency_factor) /
                                       (scaling.high_frequency_factor - scaling.low_frequency_factor));
  return (1 - keep) * slow + keep * frequency;
}

}  // namespace

void check(const LlamaConfig& config) {
  check_sizes(config);
  if (config.heads % config.kv_heads != 0)
    fail_config("Llama config: {} heads cannot share {} heads of keys and values evenly", config.heads,
                config.kv_heads);
  if (config.head_dim % 2 != 0)
    fail_config("Llama config: head_dim is {}, must be even: columns turn in pairs", config.head_dim);
  if (!(config.norm_epsilon >= 0) || !std::isfinite(config.norm_epsilon))
    fail_config("Llama config: norm_epsilon is {}, must be a number that is not negative",
                config.norm_epsilon);
  if (!(config.rotary_base > 1) || !std::isfinite(config.rotary_base))
    fail_config("Llama config: rotary_base is {}, must be a number above 1", config.rotary_base);
  check_scaling(config.rotary_scaling);
  if (config.rotary_scaling.kind == "divisors" &&
      static_cast<std::int64_t>(config.rotary_scaling.divisors.size()) != config.head_dim / 2)
    fail_config("Llama config: {} rotary divisors for heads of {} columns, must be one for each pair",
                config.rotary_scaling.divisors.size(), config.head_dim);
  const auto in_table = [&](std::int64_t id) { return id >= 0 && id < config.vocab; };
  if (!in_table(config.pad_id) || !in_table(config.eos_id))
    fail_config("Llama config: pad_id {} and eos_id {} must lie in the vocabulary of {}", config.pad_id,
                config.eos_id, config.vocab);
  if (config.bos_id != -1 && !in_table(config.bos_id))
    fail_config("Llama config: bos_id is {}, must lie in the vocabulary of {}, or -1 for none", config.bos_id,
                config.vocab);
}

LlamaConfig rank_share(const LlamaConfig& config, int k, int m) {
  if (m > config.kv_heads)
    fail_config("mesh.tensor: {} ranks for {} heads of keys and values; use at most {}", m, config.kv_heads,
                config.kv_heads);
  LlamaConfig own = config;
  const auto part = [&](std::int64_t n) { return share(n, k, m, Uneven::kAllow).count; };
  own.kv_heads = part(config.kv_heads);
  own.heads = own.kv_heads * (config.heads / config.kv_heads);  // queries go with the keys that they share
  own.d_ff = part(config.d_ff);
  own.vocab = part(config.vocab);
  return own;
}

std::int64_t parameter_count(const LlamaConfig& config) { return element_count(llama_weights(config)); }

WeightShapes llama_weights(const LlamaConfig& config) {
  WeightShapes weights;
  weights.push_back({"model.embed_tokens.weight", {config.vocab, config.d_model}});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) add_layer(weights, config, layer);
  weights.push_back({"model.norm.weight", {config.d_model}});
  if (!config.tied_head) weights.push_back({"lm_head.weight", {config.vocab, config.d_model}});
  return weights;
}

std::vector<float> rotary_frequencies(const LlamaConfig& config) {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < config.head_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(config.head_dim);
    float frequency = 1.0F / std::pow(static_cast<float>(config.rotary_base), exponent);
    if (config.rotary_scaling.kind == "linear") frequency /= static_cast<float>(config.rotary_scaling.factor);
    if (config.rotary_scaling.kind == "divisors")
      frequency /= config.rotary_scaling.divisors.at(static_cast<std::size_t>(i / 2));
    if (config.rotary_scaling.kind == "llama3")
      frequency = llama3_frequency(frequency, config.rotary_scaling);
    frequencies.push_back(frequency);
  }
  return frequencies;
}

}  // namespace trimtab
