// SPDX-License-Identifier: Apache-2.0
//
// Sizes of the published models, and the list of weights from which counts, checks and files follow.
#include "models/t5/t5_config.h"

#include <array>
#include <cmath>

#include "runtime/check.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

struct Size {
  const char* name;
  std::int64_t d_model, d_ff, heads, layers;
};

// Lester et al. 2021 freeze exactly these (T5 1.1): 76,961,152 parameters for small up to 11,135,332,352 for
// XXL.
constexpr std::array<Size, 5> kSizes = {{{"small", 512, 1024, 6, 8},
                                         {"base", 768, 2048, 12, 12},
                                         {"large", 1024, 2816, 16, 24},
                                         {"xl", 2048, 5120, 32, 24},
                                         {"xxl", 4096, 10240, 64, 24}}};

void need_positive(const char* field, std::int64_t value) {
  if (value < 1) fail_config("T5 config: {} is {}, must be at least 1", field, value);
}

// Far above any model: lists of weights are made layer by layer.
constexpr std::int64_t kMostLayers = 10000;

void add_attention(WeightShapes& weights, const T5Config& config, const std::string& prefix,
                   bool bias_table) {
  for (const char* map : {"q", "k", "v"})
    weights.push_back({prefix + map + ".weight", {config.inner(), config.d_model}});
  weights.push_back({prefix + "o.weight", {config.d_model, config.inner()}});
  if (bias_table)
    weights.push_back({prefix + "relative_attention_bias.weight", {config.buckets, config.heads}});
}

void add_stack(WeightShapes& weights, const T5Config& config, bool decoder) {
  const std::string stack = decoder ? "decoder." : "encoder.";
  const std::int64_t layers = decoder ? config.decoder_layers : config.encoder_layers;
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string block = fmt::format("{}block.{}.layer.", stack, i);
    int part = 0;
    auto part_prefix = [&] { return fmt::format("{}{}.", block, part); };
    // Only the first block owns the bias table; all blocks of the stack read it.
    add_attention(weights, config, part_prefix() + "SelfAttention.", i == 0);
    weights.push_back({part_prefix() + "layer_norm.weight", {config.d_model}});
    if (decoder) {
      ++part;
      add_attention(weights, config, part_prefix() + "EncDecAttention.", false);
      weights.push_back({part_prefix() + "layer_norm.weight", {config.d_model}});
    }
    ++part;
    const std::string dense = part_prefix() + "DenseReluDense.";
    if (config.gated_gelu) {
      weights.push_back({dense + "wi_0.weight", {config.d_ff, config.d_model}});
      weights.push_back({dense + "wi_1.weight", {config.d_ff, config.d_model}});
    } else {
      weights.push_back({dense + "wi.weight", {config.d_ff, config.d_model}});
    }
    weights.push_back({dense + "wo.weight", {config.d_model, config.d_ff}});
    weights.push_back({part_prefix() + "layer_norm.weight", {config.d_model}});
  }
  weights.push_back({stack + "final_layer_norm.weight", {config.d_model}});
}

void check_distances(const T5Config& config) {
  if (config.buckets < 4 || config.buckets % 2 != 0)
    fail_config(
        "T5 config: buckets is {}, must be even and at least 4: the encoder uses half of them for each "
        "direction",
        config.buckets);
  // Distances below half of a direction's buckets are exact; the rest is a logarithm from there to
  // max_distance. The decoder has one direction only, so its exact range is the wider one.
  if (config.max_distance <= config.buckets / 2)
    fail_config("T5 config: max_distance is {}, must be more than buckets / 2 = {}", config.max_distance,
                config.buckets / 2);
}

}  // namespace

T5Config t5_preset(const std::string& name) {
  std::string known;
  for (const Size& size : kSizes) {
    if (name == size.name) {
      T5Config config;
      config.d_model = size.d_model;
      config.d_ff = size.d_ff;
      config.heads = size.heads;
      config.encoder_layers = size.layers;
      config.decoder_layers = size.layers;
      return config;
    }
    known += known.empty() ? size.name : std::string(", ") + size.name;
  }
  fail_config("no T5 of size '{}': the sizes are {}", name, known);
}

void check(const T5Config& config) {
  need_positive("vocab", config.vocab);
  need_positive("d_model", config.d_model);
  need_positive("d_kv", config.d_kv);
  need_positive("d_ff", config.d_ff);
  need_positive("heads", config.heads);
  need_positive("encoder_layers", config.encoder_layers);
  need_positive("decoder_layers", config.decoder_layers);
  for (const std::int64_t layers : {config.encoder_layers, config.decoder_layers})
    if (layers > kMostLayers) fail_config("T5 config: {} layers; at most {} make sense", layers, kMostLayers);
  check_distances(config);
  if (!std::isfinite(config.norm_epsilon) || config.norm_epsilon <= 0.0)
    fail_config("T5 config: norm_epsilon is {}, must be a positive number", config.norm_epsilon);
  if (!(config.dropout >= 0.0 && config.dropout < 1.0))
    fail_config("T5 config: dropout is {}, must be at least 0 and less than 1", config.dropout);
  if (config.pad_id < 0 || config.pad_id >= config.vocab)
    fail_config("T5 config: pad_id is {}, must be in [0, vocab = {})", config.pad_id, config.vocab);
  if (config.eos_id < 0 || config.eos_id >= config.vocab)
    fail_config("T5 config: eos_id is {}, must be in [0, vocab = {})", config.eos_id, config.vocab);
  if (config.eos_id == config.pad_id)
    fail_config(
        "T5 config: eos_id and pad_id are both {}: decoding starts with the one and ends with the other",
        config.eos_id);
}

T5Config rank_share(const T5Config& config, int k, int m) {
  if (m > config.heads)
    fail_config("mesh.tensor: {} ranks for {} heads of keys and values; use at most {}", m, config.heads,
                config.heads);
  T5Config own = config;
  const auto part = [&](std::int64_t n) { return share(n, k, m, Uneven::kAllow).count; };
  own.heads = part(config.heads);
  own.d_ff = part(config.d_ff);
  own.vocab = part(config.vocab);
  return own;
}

std::int64_t parameter_count(const T5Config& config) { return element_count(t5_weights(config)); }

WeightShapes t5_weights(const T5Config& config) {
  WeightShapes weights;
  weights.push_back({"shared.weight", {config.vocab, config.d_model}});
  add_stack(weights, config, false);
  add_stack(weights, config, true);
  if (!config.tied_head) weights.push_back({"lm_head.weight", {config.vocab, config.d_model}});
  return weights;
}

}  // namespace trimtab
