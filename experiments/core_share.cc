// SPDX-License-Identifier: Apache-2.0
#include "experiments/core_share.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "experiments/machine.h"
#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {

CoreShare share_of(const RankCores& mine, const std::vector<RankCores>& all) {
  std::map<int, int> users;  // by core of this host
  CoreShare out{mine.first, 0, 1, 1};
  for (const auto& [host, cores] : all) {
    if (host != mine.first) continue;
    ++out.ranks;
    for (const int core : cores) ++users[core];
  }
  double owned = 0.0;
  for (const int core : mine.second) owned += 1.0 / users.at(core);
  constexpr double kRounding = 1e-6;
  out.cores = std::max(1, static_cast<int>(owned + kRounding));
  out.host_cores = std::max(1, static_cast<int>(users.size()));
  return out;
}

CoreShare share_cores(Communicator& all) {
  const RankCores mine{host_name(), usable_core_numbers()};
  std::vector<RankCores> ranks;
  for (const std::string& text :
       gather_texts(all, fmt::format("{} {}", mine.first, fmt::join(mine.second, " ")))) {
    std::istringstream words(text);
    RankCores& rank = ranks.emplace_back();
    words >> rank.first;
    for (int core = 0; words >> core;) rank.second.push_back(core);
  }
  return share_of(mine, ranks);
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
