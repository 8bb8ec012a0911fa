// SPDX-License-Identifier: Apache-2.0
//
// T5 as an entry of the families.
#pragma once

#include "models/family.h"
#include "models/t5/t5_config.h"
#include "models/t5/t5_stage.h"

namespace trimtab {

ModelFamily t5_family();

// Bytes of a rank that runs these layers.
std::uint64_t planned_bytes(const T5Config& config, const T5StageRange& range, const MemoryPlan& plan);

}  // namespace trimtab
