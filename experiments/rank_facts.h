// SPDX-License-Identifier: Apache-2.0
//
// What one rank has and found out before a run, as it travels to the others: a line of JSON. Filled in by the
// rank itself (preflight.h), read by whoever reports.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "experiments/clock_offset.h"
#include "experiments/link_check.h"
#include "runtime/mesh.h"

namespace trimtab {

// What a rank found wrong: what was checked ("shared folder") and what it saw, with the remedy.
struct Finding {
  std::string check;
  std::string text;
};

struct LinkFacts {
  std::string name;          // "data", "pipe", "tensor", "all"
  std::vector<int> members;  // world ranks
  std::vector<LinkSpeed> speeds;
};

struct ClockFacts {
  int rank = 0;  // whose clock it is, against rank 0's
  ClockOffset offset;
};

struct RankFacts {
  int rank = 0;
  std::string host;
  std::int64_t process = 0;
  std::string launcher;   // "" for a process alone
  int launcher_size = 0;  // ranks that it says it started; 0: it does not say
  int local_rank = 0, local_size = 1;
  Coordinate here;
  std::vector<int> cores;  // that it may use
  int owned_cores = 1;     // of those, its part
  int host_cores = 0;      // that the ranks of its host may use together; 0: those of them all
  int threads = 1;
  std::string device = "cpu";      // or "cuda:0 NAME"
  std::string device_id;           // tells two devices of a host apart; "" for the processor
  std::uint64_t memory = 0;        // available to this process; 0: unknown
  std::uint64_t memory_limit = 0;  // of its control group; 0: none
  std::uint64_t free_disk = 0;     // in the folder
  double write_seconds = 0.0;      // of 1 MiB in the folder, synced
  std::vector<std::pair<std::string, std::string>> versions;
  std::vector<LinkFacts> links;
  std::vector<ClockFacts> clocks;  // rank 0 only
  std::vector<Finding> faults, warnings;
};

std::string to_text(const RankFacts& facts);
// Of what to_text() made.
RankFacts facts_from_text(const std::string& text);

}  // namespace trimtab
