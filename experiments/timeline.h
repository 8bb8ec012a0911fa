// SPDX-License-Identifier: Apache-2.0
//
// When each stage of a pipeline computes what: its lists of actions (parallel/schedule.h) run against each
// other with given durations, exchanges ending when every message has met its counterpart and has arrived.
#pragma once

#include <functional>
#include <vector>

#include "parallel/schedule.h"

namespace trimtab {

struct TimedWork {
  int stage = 0;
  Work work;
  double begin = 0.0, end = 0.0;  // seconds
};

struct Timeline {
  std::vector<TimedWork> work;  // of a stage in its order
  double seconds = 0.0;         // until the last stage has ended

  // The share of all stages' time in which they do not compute.
  double idle_share(int stages) const;
};

struct Durations {
  std::function<double(int stage, const Work& work)> of_work;
  // From `stage` to the peer of a message that it sends.
  std::function<double(int stage, const Message& message)> of_message;
};

// Throws Error if the lists wait for each other for ever (find_deadlock says where).
Timeline simulate(const std::vector<Actions>& stages, const Durations& durations);

}  // namespace trimtab
