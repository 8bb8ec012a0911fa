// SPDX-License-Identifier: Apache-2.0
//
// What a plan knows of a machine: one table of accelerators from their data sheets, and this machine's
// processor, which is measured.
#pragma once

#include <cstdint>
#include <string>

#include "models/family.h"
#include "runtime/dtype.h"

namespace trimtab {

// One way between two ranks.
struct Link {
  double seconds = 0.0;    // until the first byte arrives
  double bandwidth = 1.0;  // bytes a second, in one direction
};

struct Device {
  std::string name;
  double operations = 1.0;  // of dense matrix products a second, of one rank
  double efficiency = 1.0;  // the share of it that a step reaches
  double bandwidth = 1.0;   // bytes of memory a second, of one rank
  double launch = 0.0;      // seconds to begin an operation, of which a layer makes many
  std::int64_t memory = 0;  // bytes that a rank may use
  Link inside, between;     // of a node, of nodes
};

// The ranks of a node and the threads of each; 0: its part of the cores.
struct NodeShare {
  int ranks = 1, threads = 0;
};

// "h100", "h200", "a100" as they are, or "cpu": this machine, whose ranks share its cores and its memory; its
// matrix product and what training a layer of the model's width reaches of it are measured, which takes about
// two seconds. Throws ConfigError with the nearest known name.
Device device_named(const std::string& name, DType compute, const NodeShare& node,
                    const AttentionShape& model);

}  // namespace trimtab
