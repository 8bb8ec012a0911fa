// SPDX-License-Identifier: Apache-2.0
#include "experiments/memory_plan.h"

#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {

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
