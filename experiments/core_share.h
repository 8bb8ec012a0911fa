// SPDX-License-Identifier: Apache-2.0
//
// The cores of a host among the ranks on it. Launchers bind each rank to cores of its own, or none, or some
// together; a core that several ranks may use counts in equal parts for each. Batch systems and containers
// may allow less than that: what they say of a task, and a quota of processor time, which the ranks of a host
// share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/machine.h"
#include "runtime/communicator.h"

namespace trimtab {

struct CoreShare {
  std::string host;
  int ranks = 1;       // on this host
  int cores = 1;       // that this rank owns; at least 1
  int host_cores = 1;  // that the ranks of this host may use together
};

// What limits a rank; 0: nothing does.
struct RankCores {
  std::string host;
  std::vector<int> cores;  // the numbers of those that it may use
  int of_task = 0;         // cores that Slurm gives each task
  int of_group = 0;        // of the control groups' quota (cgroup.h)
};

CoreShare share_of(const RankCores& mine, const std::vector<RankCores>& all);

// Collective over `all`, the whole job; `of_task` as above.
CoreShare share_cores(Communicator& all, int of_task);

// How many threads a rank computes with, and why: model.threads counts, then OMP_NUM_THREADS, then the cores
// that it owns.
struct ThreadChoice {
  int threads = 1;
  std::string why;
  bool leaves_cores = false;  // by OMP_NUM_THREADS, which may be set without the user's knowledge
};
ThreadChoice choose_threads(std::int64_t setting, const CoreHints& hints, int owned);

// "" unless the ranks of this host, with so many threads each, have more threads than cores.
std::string oversubscription_warning(const CoreShare& share, int threads);

}  // namespace trimtab
