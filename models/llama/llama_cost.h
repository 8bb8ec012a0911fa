// SPDX-License-Identifier: Apache-2.0
//
// What each layer of a Llama costs when frozen weights are trained through, for cutting the model into
// stages: the operations of the forward pass and of the input gradients, for one row of mean lengths.
#pragma once

#include <vector>

#include "models/family.h"
#include "models/llama/llama_config.h"
#include "parallel/stage_plan.h"

namespace trimtab {

// The embedding counts with the first layer, the head with the last.
std::vector<CostUnit> llama_cost_units(const LlamaConfig& config, const RowLengths& lengths);

}  // namespace trimtab
