// SPDX-License-Identifier: Apache-2.0
#include "experiments/core_share.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "experiments/cgroup.h"
#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {

CoreShare share_of(const RankCores& mine, const std::vector<RankCores>& all) {
  std::map<int, int> users;  // by core of this host
  CoreShare out{mine.host, 0, 1, 1};
  int of_tasks = 0;
  bool all_are_tasks = true;
  for (const RankCores& rank : all) {
    if (rank.host != mine.host) continue;
    ++out.ranks;
    for (const int core : rank.cores) ++users[core];
    of_tasks += rank.of_task;
    all_are_tasks = all_are_tasks && rank.of_task > 0;
  }
  double owned = 0.0;
  for (const int core : mine.cores) owned += 1.0 / users.at(core);
  auto together = static_cast<int>(users.size());
  if (mine.of_task > 0) owned = std::min(owned, static_cast<double>(mine.of_task));
  if (all_are_tasks) together = std::min(together, of_tasks);
  if (mine.of_group > 0) {
    owned = std::min(owned, static_cast<double>(mine.of_group) / out.ranks);
    together = std::min(together, mine.of_group);
  }
  constexpr double kRounding = 1e-6;
  out.cores = std::max(1, static_cast<int>(owned + kRounding));
  out.host_cores = std::max(1, together);
  return out;
}

CoreShare share_cores(Communicator& all, int of_task) {
  const RankCores mine{host_name(), usable_core_numbers(), of_task, cgroup_cores()};
  std::vector<RankCores> ranks;
  for (const std::string& text : gather_texts(all, fmt::format("{} {} {} {}", mine.host, mine.of_task,
                                                               mine.of_group, fmt::join(mine.cores, " ")))) {
    std::istringstream words(text);
    RankCores& rank = ranks.emplace_back();
    words >> rank.host >> rank.of_task >> rank.of_group;
    for (int core = 0; words >> core;) rank.cores.push_back(core);
  }
  return share_of(mine, ranks);
}

ThreadChoice choose_threads(std::int64_t setting, const CoreHints& hints, int owned) {
  if (setting > 0) return {static_cast<int>(setting), fmt::format("{} threads by model.threads", setting)};
  if (hints.threads == 0) return {owned, fmt::format("{} threads, one for each core of this rank", owned)};
  const bool leaves_cores = hints.threads < owned;
  return {hints.threads,
          fmt::format("{} threads by OMP_NUM_THREADS of the environment; this rank owns {} cores{}",
                      hints.threads, owned,
                      leaves_cores ? ": unset it, or set model.threads, to use them all" : ""),
          leaves_cores};
}

std::string oversubscription_warning(const CoreShare& share, int threads) {
  if (share.ranks * threads <= share.host_cores) return "";
  const int fitting = std::max(1, share.host_cores / share.ranks);
  return fmt::format(
      "{} ranks with {} threads each share {} cores on {} and will wait for each other: start fewer ranks a "
      "host{}",
      share.ranks, threads, share.host_cores, share.host,
      threads > fitting ? fmt::format(", or set model.threads to {}", fitting) : "");
}

}  // namespace trimtab
