// SPDX-License-Identifier: Apache-2.0
//
// How long MPI may take to start. It waits for nothing but that every process is there and that messages come
// through, neither of which gets better with time, while mesh.startup_timeout is made for the reading of
// large models: a rank that will never come is not waited for as long as that.
#pragma once

#include <algorithm>
#include <chrono>

namespace trimtab {

inline constexpr std::chrono::milliseconds kLongestStartOfMpi = std::chrono::minutes(5);

// `startup`: mesh.startup_timeout; 0, for never, stays so.
inline std::chrono::milliseconds limit_of_mpi_start(std::chrono::milliseconds startup) {
  return std::min(startup, kLongestStartOfMpi);
}

}  // namespace trimtab
