// SPDX-License-Identifier: Apache-2.0
//
// Whether the ranks of one communicator reach each other, with the right numbers and how fast: known values
// through the calls that training makes, compared to the last bit, and medians of timed calls. All functions
// are collective; tensors are on `device`, of the kind that the communicator moves.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/communicator.h"

namespace trimtab {

// What this rank received and should not have: "" or "all_reduce sum of 1000 float32 on 'data' of ranks 0, 4:
// element 17 is 13 and should be 12".
std::string wrong_values(Communicator& link, at::Device device);

// Seconds of one call on this rank, the median of several.
struct LinkSpeed {
  std::int64_t bytes = 0;
  double exchange = 0.0;    // so many bytes to the next rank, while as many come from the one before
  double all_reduce = 0.0;  // a sum of so many bytes
};

// From small to large messages; empty for one rank.
std::vector<LinkSpeed> measured_speeds(Communicator& link, at::Device device);

}  // namespace trimtab
