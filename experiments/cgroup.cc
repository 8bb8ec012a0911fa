// SPDX-License-Identifier: Apache-2.0
#include "experiments/cgroup.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

namespace trimtab {
namespace {

namespace fs = std::filesystem;

// Nothing for "max" and for files that are not there.
std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  return in >> value ? std::optional(value) : std::nullopt;
}

// Of lines "key number".
std::uint64_t number_of(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  std::string word;
  for (std::uint64_t value = 0; in >> word >> value;)
    if (word == key) return value;
  return 0;
}

// The folders of a process's group and of those around it, up to the root.
struct Groups {
  bool is_v1 = false;
  std::vector<fs::path> folders;
};

// A container may see its own group as the root, and its path as the host has it: then only the root is
// there.
std::vector<fs::path> folders_up(const fs::path& root, const std::string& path) {
  std::vector<fs::path> out;
  const fs::path relative = fs::path(path).relative_path();
  for (fs::path at = relative; !at.empty(); at = at.parent_path()) out.push_back(root / at);
  out.push_back(root);
  return out;
}

// Lines are "NUMBER:CONTROLLERS:PATH"; that of version 2 has no controllers, and counts where none of version
// 1 has this one.
Groups groups_with(const std::string& controller, const CgroupPlaces& places) {
  Groups out{false, {places.mount}};
  std::ifstream lines(places.groups);
  for (std::string number, controllers, path; std::getline(lines, number, ':') &&
                                              std::getline(lines, controllers, ':') &&
                                              std::getline(lines, path);) {
    if (controllers.empty()) out.folders = folders_up(places.mount, path);
    std::istringstream words(controllers);
    for (std::string word; std::getline(words, word, ',');) {
      if (word != controller) continue;
      const fs::path together = fs::path(places.mount) / controllers, alone = fs::path(places.mount) / word;
      std::error_code not_there;
      return {true, folders_up(fs::exists(alone, not_there) ? alone : together, path)};
    }
  }
  return out;
}

struct MemoryFiles {
  const char *limit, *used, *cache;  // the last is a key of memory.stat
};
constexpr MemoryFiles kMemoryV1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr MemoryFiles kMemoryV2 = {"memory.max", "memory.current", "inactive_file"};

// Version 1 says "none" by the greatest number of pages.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

// In cores; nothing where there is no quota. Version 1 says "none" by -1.
std::optional<double> quota_of(const fs::path& folder, bool is_v1) {
  double quota = 0.0, period = 0.0;
  if (is_v1) {
    std::ifstream(folder / "cpu.cfs_quota_us") >> quota;
    std::ifstream(folder / "cpu.cfs_period_us") >> period;
  } else {
    std::ifstream(folder / "cpu.max") >> quota >> period;
  }
  return quota > 0.0 && period > 0.0 ? std::optional(quota / period) : std::nullopt;
}

}  // namespace

CgroupMemory cgroup_memory(const CgroupPlaces& places) {
  const Groups groups = groups_with("memory", places);
  const MemoryFiles& files = groups.is_v1 ? kMemoryV1 : kMemoryV2;
  CgroupMemory out;
  for (const fs::path& folder : groups.folders) {
    const std::uint64_t limit = number_in(folder / files.limit).value_or(kNoLimit);
    if (limit >= kNoLimit) continue;
    // Page cache counts as used in a group, but it gives way.
    const std::uint64_t used = number_in(folder / files.used).value_or(0);
    const std::uint64_t held = used - std::min(used, number_of(folder / "memory.stat", files.cache));
    const std::uint64_t left = limit - std::min(limit, held);
    out.left = out.limit == 0 ? left : std::min(out.left, left);
    out.limit = out.limit == 0 ? limit : std::min(out.limit, limit);
  }
  return out;
}

int cgroup_cores(const CgroupPlaces& places) {
  const Groups groups = groups_with("cpu", places);
  std::optional<double> least;
  for (const fs::path& folder : groups.folders)
    if (const auto quota = quota_of(folder, groups.is_v1)) least = std::min(least.value_or(*quota), *quota);
  return least ? static_cast<int>(std::ceil(*least)) : 0;
}

}  // namespace trimtab
