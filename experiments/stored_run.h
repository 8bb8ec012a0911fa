// SPDX-License-Identifier: Apache-2.0
//
// A run as its folder tells it, read without model or data.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/run_record.h"
#include "runtime/config_tree.h"

namespace trimtab {

struct StoredRun {
  std::string folder;  // "" for one that was computed from others
  RunRecord record;
  ConfigNode config;  // resolved

  std::string seed() const;
  std::string dev_split() const;
};

// Nothing unless the folder has a record and the experiment beside it. Throws Error if one is damaged.
std::optional<StoredRun> load_run(const std::string& folder);

// All runs in the folders and below them: small models first, then by folder name, numbers in it by value.
// Throws ConfigError that names a folder in which there is none.
std::vector<StoredRun> find_runs(const std::vector<std::string>& folders);

// The leaves of a config as (dotted key, text), in its order; a list is a leaf.
std::vector<std::pair<std::string, std::string>> leaves_of(const ConfigNode& config);

// (axis, setting) of the labels that a comparison gave the run.
std::vector<std::pair<std::string, std::string>> labels_of(const ConfigNode& config);

}  // namespace trimtab
