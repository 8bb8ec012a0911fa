// SPDX-License-Identifier: Apache-2.0
//
// What the layers of a T5 need beside each other while they are trained through or decoded, counted from the
// tensors that t5_layers.cc makes and autograd keeps.
#pragma once

#include "models/family.h"
#include "models/t5/t5_config.h"
#include "models/t5/t5_stage.h"

namespace trimtab {

// Bytes of a rank that runs these layers.
StageBytes planned_bytes(const T5Config& config, const T5StageRange& range, const MemoryPlan& plan);

}  // namespace trimtab
