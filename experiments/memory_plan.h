// SPDX-License-Identifier: Apache-2.0
//
// A rough count of the memory that a rank needs, made before a weight is read: within a third of what is then
// used, which is enough to refuse what cannot work.
#pragma once

#include <cstdint>

#include "models/t5/t5_config.h"
#include "models/t5/t5_stage.h"

namespace trimtab {

struct MemoryPlan {
  T5StageRange range;       // the rank's layers,
  std::int64_t tensor = 1;  // of which it holds one part in so many
  bool trains_base = false;
  std::int64_t element_bytes = 4;  // of weights and activations
  std::int64_t tokens = 0;         // encoder positions of the micro-batches that wait for their backward pass
  std::int64_t target_tokens = 0;
  int ranks_here = 1;  // that share the memory of this machine
};

// Of one rank.
std::uint64_t planned_bytes(const T5Config& config, const MemoryPlan& plan);

// `needed` is one rank's. Throws ConfigError with needed and available bytes and the keys that help.
// `available` 0 (not known) is enough.
void check_fits_memory(std::uint64_t needed, std::uint64_t available, const MemoryPlan& plan);

}  // namespace trimtab
