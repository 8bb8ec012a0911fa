// SPDX-License-Identifier: Apache-2.0
//
// What ranks send to each other while they train, as record.json keeps it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/communicator.h"
#include "runtime/world.h"

namespace trimtab {

// Of one rank, over all steps that were counted.
struct RankTraffic {
  TrafficCounters steps;  // by purpose, in passes and updates
  TrafficCount
      between_steps;  // all together, after an update: agreement to go on, journal, comparing replicas
};

nlohmann::ordered_json to_json(const RankTraffic& traffic);
// What is not there is zero. Throws nlohmann::json::exception.
RankTraffic rank_traffic_from(const nlohmann::ordered_json& json);

// Of each rank, on every rank; collective.
std::vector<RankTraffic> gather_traffic(Communicator& ranks, const RankTraffic& here);

// "tensor 850 calls, 901 bytes (rank 1); gradient 1 calls, 81928 bytes (rank 0)": an average step of the rank
// that sends most bytes for the purpose, and of the first of them if several do. "" if nothing was sent.
std::string traffic_line(const std::vector<RankTraffic>& ranks, std::int64_t steps);

// Adds to `count` what this rank sends while this object lives, whatever the purpose.
class CountedTraffic {
 public:
  CountedTraffic(World& world, TrafficCount& count);
  ~CountedTraffic();
  CountedTraffic(const CountedTraffic&) = delete;
  CountedTraffic& operator=(const CountedTraffic&) = delete;

 private:
  World& world_;
  TrafficCount& count_;
  TrafficCounters before_;
};

}  // namespace trimtab
