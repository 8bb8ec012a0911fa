// SPDX-License-Identifier: Apache-2.0
//
// How fast this machine trains: a layer of a planned model's width is trained for a moment. A plan's seconds
// come from it, since the share of the matrix product that a step reaches differs between processors.
#pragma once

#include "models/family.h"
#include "runtime/dtype.h"

namespace trimtab {

// Operations a second, as cost_units() counts those of a frozen model, that each of `ranks` processes of this
// machine reaches forward and backward while the others do the same, each with `threads`. Takes about a
// second, a few where bfloat16 is slow.
double trained_operations(const AttentionShape& shape, DType compute, int ranks, int threads);

}  // namespace trimtab
