// SPDX-License-Identifier: Apache-2.0
//
// Llama and its relatives as an entry of the families.
#pragma once

#include "models/family.h"
#include "models/llama/llama_config.h"

namespace trimtab {

ModelFamily llama_family();

// What each layer costs when frozen weights are trained through: the operations of the forward pass and of
// the input gradients, for one row of mean lengths. The embedding counts with the first layer, the head with
// the last.
std::vector<CostUnit> llama_cost_units(const LlamaConfig& config, const RowLengths& lengths);

// Bytes of a rank that runs these layers.
std::uint64_t planned_bytes(const LlamaConfig& config, const UnitRange& layers, const MemoryPlan& plan);

}  // namespace trimtab
