// SPDX-License-Identifier: Apache-2.0
//
// What is spread over the stages and tensor ranks of a replica, put together again on one rank, a tensor at a
// time: for saving.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "parallel/parameter.h"
#include "runtime/world.h"

namespace trimtab {

using SliceSink = std::function<void(const std::string& name, const at::Tensor& whole)>;

// Calls `sink` on the replica's first rank for each tensor of each stage, whole, where this rank's own are.
// Collective over the ranks of one replica, which pass their own slices. Tensor ranks of a stage pass the
// same list. Two stages with the same name both reach the sink.
void gather_slices(World& world, const std::vector<NamedSlice>& slices, const SliceSink& sink);

}  // namespace trimtab
