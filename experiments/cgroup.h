// SPDX-License-Identifier: Apache-2.0
//
// What the control groups of this process leave it: batch systems and containers limit memory and processor
// time by them. A limit of any group from the process's own up to the root holds. Read anew at each call,
// version 1 and 2; what cannot be read limits nothing.
#pragma once

#include <cstdint>
#include <string>

namespace trimtab {

// Where Linux shows them; tests name trees of their own.
struct CgroupPlaces {
  std::string mount = "/sys/fs/cgroup";
  std::string groups = "/proc/self/cgroup";  // that this process is in
};

struct CgroupMemory {
  std::uint64_t limit = 0;  // the least, in bytes; 0: none
  std::uint64_t left = 0;   // of the group that has least left, where there is a limit
};
CgroupMemory cgroup_memory(const CgroupPlaces& places = {});

// The least quota of processor time as a number of cores, rounded up; 0: none.
int cgroup_cores(const CgroupPlaces& places = {});

}  // namespace trimtab
