// SPDX-License-Identifier: Apache-2.0
//
// The cores of a host among the ranks on it. Launchers bind each rank to cores of its own, or none, or some
// together; a core that several ranks may use counts in equal parts for each.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/communicator.h"

namespace trimtab {

struct CoreShare {
  std::string host;
  int ranks = 1;       // on this host
  int cores = 1;       // that this rank owns; at least 1
  int host_cores = 1;  // that any rank of this host may use
};

// A host and the numbers of the cores that a rank on it may use.
using RankCores = std::pair<std::string, std::vector<int>>;

CoreShare share_of(const RankCores& mine, const std::vector<RankCores>& all);

// Collective over `all`, the whole job.
CoreShare share_cores(Communicator& all);

// "" unless the ranks of this host, with so many threads each, have more threads than cores.
std::string oversubscription_warning(const CoreShare& share, int threads);

}  // namespace trimtab
