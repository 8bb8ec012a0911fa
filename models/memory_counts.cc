// SPDX-License-Identifier: Apache-2.0
#include "models/memory_counts.h"

#include <algorithm>

namespace trimtab {

std::int64_t weight_bytes(std::int64_t weights, const MemoryPlan& plan) {
  std::int64_t bytes = weights * plan.element_bytes;
  // Gradients, and a float32 master copy where the weights are not float32 themselves.
  if (plan.trains_base) bytes += weights * (plan.element_bytes + (plan.element_bytes == 2 ? 4 : 0));
  return bytes;
}

std::int64_t stream_width(std::int64_t width, const MemoryPlan& plan) {
  return plan.sequence_parallel ? width / plan.tensor : width;
}

// The norm's input, queries, keys, values and output, and one logarithm a head; a frozen map keeps nothing, a
// trained one its input. Composed operations keep heads apart and the weights of all pairs, in float32 too.
std::int64_t kept_of_attention(const LayerWidths& layer, std::int64_t rows, std::int64_t tokens,
                               const MemoryPlan& plan) {
  std::int64_t token = layer.stream + 2 * layer.inner + layer.keys_values + layer.heads;
  if (plan.trains_base || plan.trains_layers) token += layer.width;
  if (plan.dropout) token += layer.heads;
  std::int64_t numbers = tokens * token + (plan.dropout ? rows * layer.width : 0);
  if (plan.fused || rows == 0) return numbers;
  const std::int64_t wide = plan.activation_bytes == 2 ? 2 : 0;  // float32 beside what is half as wide
  numbers += tokens * (layer.inner + layer.keys_values + wide * layer.stream);
  return numbers + tokens * (tokens / rows) * layer.heads * (1 + wide);
}

// The norm's input and what comes out of the first matrices; composed, what the gates make of it too.
std::int64_t kept_of_feed_forward(const LayerWidths& layer, std::int64_t rows, std::int64_t tokens,
                                  const MemoryPlan& plan) {
  std::int64_t token = layer.stream + layer.gates * layer.feed_forward;
  if (plan.trains_base) token += layer.width + layer.feed_forward;
  if (!plan.fused)
    token += (layer.gates - 1) * layer.feed_forward + (plan.activation_bytes == 2 ? 2 * layer.stream : 0);
  return tokens * token + (plan.dropout ? rows * (layer.width + layer.feed_forward) : 0);
}

std::int64_t kept_of_layer(const LayerWidths& layer, std::int64_t rows, std::int64_t tokens,
                           const MemoryPlan& plan) {
  return kept_of_attention(layer, rows, tokens, plan) + kept_of_feed_forward(layer, rows, tokens, plan);
}

// The residual stream, the norm, the halves and their product; or the stream, the norm, queries, keys,
// values and output. What goes into sharded work, or comes out of it, is there for all tokens.
std::int64_t forward_of_layer(const LayerWidths& layer, std::int64_t tokens) {
  const std::int64_t streams = 2 * layer.stream + layer.width;
  const std::int64_t feed_forward = streams + (layer.gates + 1) * layer.feed_forward;
  const std::int64_t attention = streams + 2 * layer.inner + layer.keys_values;
  return tokens * std::max(feed_forward, attention);
}

// The stream's gradient, that of the product and those of the halves; or that of attention's output and those
// of queries, keys and values. A stream's gradient that is shared out is gathered beside it.
std::int64_t backward_of_layer(const LayerWidths& layer, std::int64_t tokens) {
  const std::int64_t gathered = layer.stream < layer.width ? layer.stream : 0;
  const std::int64_t feed_forward = gathered + layer.width + (layer.gates + 1) * layer.feed_forward;
  const std::int64_t attention = layer.stream + layer.width + 2 * layer.inner + layer.keys_values;
  return tokens * std::max(feed_forward, attention);
}

}  // namespace trimtab
