// SPDX-License-Identifier: Apache-2.0
#include "experiments/memory_plan.h"

#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {

std::uint64_t planned_bytes(const T5Config& config, const MemoryPlan& plan) {
  const std::int64_t weights = parameter_count(config);
  std::int64_t bytes = weights * plan.element_bytes;
  // Gradients, and a float32 master copy where the weights are not float32 themselves. Adafactor's factored
  // state is small; what a checkpoint copies is not.
  if (plan.trains_base) bytes += weights * (plan.element_bytes + (plan.element_bytes == 2 ? 4 : 0) + 4);
  // Kept for backward a layer: two norm inputs; queries, keys, values and output; two halves of the
  // feed-forward block and their product.
  const std::int64_t layer =
      2 * config.d_model + 4 * config.inner() + (config.gated_gelu ? 3 : 2) * config.d_ff;
  bytes += plan.tokens * layer * config.encoder_layers * plan.element_bytes;
  // The decoder has a second attention, whose keys and values cover the encoder's positions.
  bytes += plan.target_tokens * (layer + 4 * config.inner()) * config.decoder_layers * plan.element_bytes;
  bytes += plan.tokens * 2 * config.inner() * config.decoder_layers * plan.element_bytes;
  // Logits, their softmax and its gradient.
  bytes += plan.target_tokens * config.vocab * 4 * 3;
  return static_cast<std::uint64_t>(bytes);
}

void check_fits_memory(std::uint64_t needed, std::uint64_t available, const MemoryPlan& plan) {
  if (available == 0 || needed <= available) return;
  fail_config(
      "this run needs about {} of memory, {} are available; lower train.micro_batch_tokens (now {} positions "
      "at once), "
      "{}or take a smaller model",
      readable_bytes(needed), readable_bytes(available), plan.tokens,
      plan.element_bytes == 4 ? "set model.compute: bfloat16, " : "");
}

}  // namespace trimtab
