// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_memory.h"

#include <algorithm>

#include "models/memory_counts.h"

namespace trimtab {
namespace {

std::int64_t layer_weights(const LlamaConfig& config) {
  LlamaConfig one = config, none = config;
  one.layers = 1;
  none.layers = 0;
  return parameter_count(one) - parameter_count(none);
}

std::int64_t stage_weights(const LlamaConfig& config, const UnitRange& layers) {
  const bool begins = layers.begin == 0, ends = layers.end == config.layers;
  const bool second_table = ends && (!config.tied_head || !begins);
  return (layers.end - layers.begin) * layer_weights(config) + (ends ? config.d_model : 0) +
         config.vocab * config.d_model * ((begins ? 1 : 0) + (second_table ? 1 : 0));
}

// Positions of input and target behind each other, of which the last target is not read.
std::int64_t read_positions(const PassSize& size) {
  return size.input + size.target - std::min(size.rows, size.target);
}

}  // namespace

StageBytes planned_bytes(const LlamaConfig& model, const UnitRange& layers, const MemoryPlan& plan) {
  const LlamaConfig config = rank_share(model, 0, static_cast<int>(plan.tensor));  // no rank holds more
  const std::int64_t kv_inner = config.kv_inner();
  const LayerWidths layer{config.d_model,
                          stream_width(config.d_model, plan),
                          config.inner(),
                          2 * kv_inner,
                          config.d_ff,
                          config.heads,
                          2};
  const bool ends = layers.end == config.layers;
  const std::int64_t count = layers.end - layers.begin, vocabulary = config.vocab;
  const PassSize &waiting = plan.waiting, &at_work = plan.at_work;

  std::int64_t kept = count * kept_of_attention(layer, waiting.rows, read_positions(waiting), plan);
  // Behind the last attention only the positions before targets go on.
  kept += (count - (ends ? 1 : 0)) * kept_of_feed_forward(layer, waiting.rows, read_positions(waiting), plan);
  if (ends)
    kept += kept_of_feed_forward(layer, waiting.rows, waiting.target, plan) +
            waiting.target * (layer.stream + vocabulary);
  // Norms of heads keep what they were given beside what they made of it.
  if (config.qk_norm) kept += count * read_positions(waiting) * (layer.inner + layer.keys_values);

  const auto of_layer = plan.backward ? backward_of_layer : forward_of_layer;
  std::int64_t working = of_layer(layer, plan.decoded > 0 ? at_work.input : read_positions(at_work));
  if (ends) {
    const std::int64_t logits =
        plan.decoded > 0 ? 2 * at_work.rows : at_work.target * (plan.backward ? 1 : 2);
    working = std::max(working, logits * vocabulary);
  }
  const std::int64_t cached =
      plan.decoded > 0 ? count * 2 * kv_inner * at_work.rows * (at_work.longest + plan.decoded) : 0;
  const std::int64_t bytes = plan.activation_bytes;
  return {weight_bytes(stage_weights(config, layers), plan), kept * bytes, working * bytes, cached * bytes};
}

}  // namespace trimtab
