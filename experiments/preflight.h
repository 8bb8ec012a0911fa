// SPDX-License-Identifier: Apache-2.0
//
// Whether a job's ranks, their hosts and what lies between them are fit for a run: every rank looks at
// itself, speaks with the others on every axis, and tells what it found; all then have the same report. A
// fault of one rank is noted, not thrown, so that the report shows all of them. One call, collective over the
// World; the caller prints, and removes the folder that was written in.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "experiments/machine.h"
#include "experiments/rank_facts.h"
#include "runtime/world.h"

namespace trimtab {

struct PreflightRequest {
  RankFacts here;   // what the caller knows of this rank: launcher, place on the host, device, versions
  int threads = 0;  // model.threads
  CoreHints hints;
  std::string folder;            // that all ranks are to share
  std::string mark;              // a new name in it
  at::Device device = at::kCPU;  // whose memory the axes move
};

// The worst of an axis, over its ranks.
struct WorstSpeed {
  LinkSpeed speed;
  int exchange_rank = 0, all_reduce_rank = 0;  // whose medians they are
};

struct AxisReport {
  std::string name;
  int groups = 1, ranks = 1;  // that work side by side, and the ranks of each
  std::vector<WorstSpeed> speeds;
};

struct HostReport {
  std::string host;
  std::vector<std::size_t> ranks;
  int cores = 1;  // that its ranks may use together
  int threads = 0;
  ClockOffset clock;  // against that of rank 0's host
};

struct RankFinding {
  int rank = 0;
  std::string host;
  Finding finding;
};

struct PreflightReport {
  Mesh mesh;
  std::string memory;  // "host" or "CUDA": what the axes moved
  std::string folder;
  std::vector<RankFacts> ranks;
  std::vector<HostReport> hosts;
  std::vector<AxisReport> axes;
  std::vector<RankFinding> faults, warnings;  // the first is the first to be mended
};

// Fills in what a process can tell of itself: host, process id, cores, memory, versions.
void look_at_itself(RankFacts& facts);

PreflightReport preflight(World& world, const PreflightRequest& request);

// Of what the ranks told, by rank.
PreflightReport report_of(const Mesh& mesh, std::vector<RankFacts> ranks);

// Tables for people; and for programs.
std::string text_of(const PreflightReport& report);
std::string json_of(const PreflightReport& report);

}  // namespace trimtab
