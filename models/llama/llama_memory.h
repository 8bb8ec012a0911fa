// SPDX-License-Identifier: Apache-2.0
//
// What the layers of a Llama need beside each other while they are trained through or decoded, counted from
// the tensors that llama_stage.cc makes and autograd keeps.
#pragma once

#include "models/family.h"
#include "models/llama/llama_config.h"

namespace trimtab {

// Bytes of a rank that runs these layers.
StageBytes planned_bytes(const LlamaConfig& config, const UnitRange& layers, const MemoryPlan& plan);

}  // namespace trimtab
