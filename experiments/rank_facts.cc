// SPDX-License-Identifier: Apache-2.0
#include "experiments/rank_facts.h"

#include <nlohmann/json.hpp>

namespace trimtab {

// Names that the library looks for.
// NOLINTBEGIN(readability-identifier-naming)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Finding, check, text)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LinkSpeed, bytes, exchange, all_reduce)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LinkFacts, name, members, speeds)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ClockOffset, seconds, uncertainty)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ClockFacts, rank, offset)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Coordinate, data, pipe, tensor)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RankFacts, rank, host, process, launcher, launcher_size, local_rank,
                                   local_size, here, cores, owned_cores, host_cores, threads, device,
                                   device_id, memory, memory_limit, free_disk, write_seconds, versions, links,
                                   clocks, faults, warnings)
// NOLINTEND(readability-identifier-naming)

// Names of hosts and files may be no UTF-8.
std::string to_text(const RankFacts& facts) {
  return nlohmann::json(facts).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

RankFacts facts_from_text(const std::string& text) { return nlohmann::json::parse(text).get<RankFacts>(); }

}  // namespace trimtab
