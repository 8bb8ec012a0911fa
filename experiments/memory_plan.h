// SPDX-License-Identifier: Apache-2.0
//
// Whether what a rank will need (BaseModel::planned_bytes) is there, before a weight is read.
#pragma once

#include <cstdint>

#include "models/family.h"

namespace trimtab {

// `needed` is one rank's. Throws ConfigError with needed and available bytes and the keys that help.
// `available` 0 (not known) is enough.
void check_fits_memory(std::uint64_t needed, std::uint64_t available, const MemoryPlan& plan);

}  // namespace trimtab
