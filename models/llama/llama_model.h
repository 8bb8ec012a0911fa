// SPDX-License-Identifier: Apache-2.0
//
// Llama and its relatives as an entry of the families.
#pragma once

#include <memory>
#include <vector>

#include "models/family.h"
#include "models/llama/llama_config.h"
#include "models/llama/llama_files.h"

namespace trimtab {

ModelFamily llama_family();

std::unique_ptr<BaseModel> make_llama_model(LlamaFiles files);

// What each layer costs when frozen weights are trained through: the operations of the forward pass and of
// the input gradients, for one row of mean lengths. The embedding counts with the first layer, the head with
// the last.
std::vector<CostUnit> llama_cost_units(const LlamaConfig& config, const RowLengths& lengths);

}  // namespace trimtab
