// SPDX-License-Identifier: Apache-2.0
//
// What each layer of a T5 costs when frozen weights are trained through, for cutting the model into stages:
// the operations of the forward pass and of the input gradients, for one row of mean lengths.
#pragma once

#include <vector>

#include "models/family.h"
#include "models/t5/t5_config.h"
#include "models/t5/t5_stage.h"
#include "parallel/stage_plan.h"

namespace trimtab {

// Encoder layers, then decoder layers. The embeddings count with the first layer of their stack, the head
// with the last decoder layer: they live on the same stage. Cross-attention counts as the cheaper of its two
// paths, so that short targets make decoder layers nearly free.
std::vector<CostUnit> t5_cost_units(const T5Config& config, const RowLengths& lengths);

// The layers that units of t5_cost_units() are.
T5StageRange t5_stage_range(const T5Config& config, const UnitRange& units);

}  // namespace trimtab
