// SPDX-License-Identifier: Apache-2.0
#include "experiments/memory_plan.h"

#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {

namespace {

// Tables are where their first and last layers are; a tied head that is not beside the embedding is a copy.
std::int64_t stage_weights(const T5Config& config, const T5StageRange& range) {
  T5Config layers = config;
  layers.encoder_layers = range.encoder_end - range.encoder_begin;
  layers.decoder_layers = range.decoder_end - range.decoder_begin;
  const std::int64_t table = config.vocab * config.d_model;
  const std::int64_t without_tables = parameter_count(layers) - table * (config.tied_head ? 1 : 2);
  const bool embeds = (layers.encoder_layers > 0 && range.encoder_begin == 0) ||
                      (layers.decoder_layers > 0 && range.decoder_begin == 0);
  const bool predicts = layers.decoder_layers > 0 && range.decoder_end == config.decoder_layers;
  const bool second_table = predicts && (!config.tied_head || !embeds);
  return without_tables + table * ((embeds ? 1 : 0) + (second_table ? 1 : 0));
}

}  // namespace

std::uint64_t planned_bytes(const T5Config& config, const MemoryPlan& plan) {
  const std::int64_t encoder_layers = plan.range.encoder_end - plan.range.encoder_begin;
  const std::int64_t decoder_layers = plan.range.decoder_end - plan.range.decoder_begin;
  const std::int64_t inner = config.inner() / plan.tensor, d_ff = config.d_ff / plan.tensor;
  const std::int64_t weights = stage_weights(config, plan.range) / plan.tensor;
  std::int64_t bytes = weights * plan.element_bytes;
  // Gradients, and a float32 master copy where the weights are not float32 themselves. Adafactor's factored
  // state is small; what a checkpoint copies is not.
  if (plan.trains_base) bytes += weights * (plan.element_bytes + (plan.element_bytes == 2 ? 4 : 0) + 4);
  // Kept for backward a layer: two norm inputs; queries, keys, values and output; two halves of the
  // feed-forward block and their product.
  const std::int64_t layer = 2 * config.d_model + 4 * inner + (config.gated_gelu ? 3 : 2) * d_ff;
  bytes += plan.tokens * layer * encoder_layers * plan.element_bytes;
  // The decoder has a second attention, whose keys and values cover the encoder's positions.
  bytes += plan.target_tokens * (layer + 4 * inner) * decoder_layers * plan.element_bytes;
  bytes += plan.tokens * 2 * inner * decoder_layers * plan.element_bytes;
  // Logits, their softmax and its gradient.
  if (decoder_layers > 0 && plan.range.decoder_end == config.decoder_layers)
    bytes += plan.target_tokens * (config.vocab / plan.tensor) * 4 * 3;
  return static_cast<std::uint64_t>(bytes);
}

void check_fits_memory(std::uint64_t needed, std::uint64_t available, const MemoryPlan& plan) {
  const auto ranks = static_cast<std::uint64_t>(plan.ranks_here);
  if (available == 0 || needed <= available / ranks) return;
  fail_config(
      "this rank needs about {} of memory, {} are available to it ({} rank{} on this machine); lower "
      "train.micro_batch_tokens (now {} positions at once), {}cut the model over more machines (mesh.pipe, "
      "mesh.tensor) or take a smaller one",
      readable_bytes(needed), readable_bytes(available / ranks), ranks, ranks == 1 ? "" : "s", plan.tokens,
      plan.element_bytes == 4 ? "set model.compute: bfloat16, " : "");
}

}  // namespace trimtab
