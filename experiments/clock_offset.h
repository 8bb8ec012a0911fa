// SPDX-License-Identifier: Apache-2.0
//
// How far another rank's clock is from this one's, as NTP asks: the other's time against the middle of a
// round trip. The quickest of several round trips counts, since it bounds the error by half of what it took.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/communicator.h"

namespace trimtab {

struct ClockOffset {
  double seconds = 0.0;      // the peer's clock is so much ahead
  double uncertainty = 0.0;  // the truth is at most so far away
};

// Nanoseconds since any fixed moment that is the same on all hosts.
using NanosecondClock = std::function<std::int64_t()>;
std::int64_t wall_clock();

// Called by rank 0 of `all`, which gets the answer, and by `peer`, which gets nothing of use.
ClockOffset clock_offset(Communicator& all, int peer, const NanosecondClock& now = wall_clock);

}  // namespace trimtab
