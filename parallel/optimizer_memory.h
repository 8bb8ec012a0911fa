// SPDX-License-Identifier: Apache-2.0
//
// What an optimizer keeps for a parameter, told from shapes alone: for plans of models that no machine here
// could hold. The tests hold it to what the optimizers do keep.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/optimizer.h"

namespace trimtab {

// Bytes for this rank's share of a parameter whose whole shape may be larger. `master`: the parameter is not
// float32 on the host, so that a copy of it is.
std::int64_t optimizer_bytes(const OptimizerConfig& config, const std::vector<std::int64_t>& share,
                             const std::vector<std::int64_t>& whole, bool master);

}  // namespace trimtab
