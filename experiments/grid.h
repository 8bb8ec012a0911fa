// SPDX-License-Identifier: Apache-2.0
//
// A grid of settings and its runs: axes in the order of the file, each a list of values of one key or of
// named settings, expanded to every combination but the excluded ones. Names depend on the run's own settings
// alone, so that an axis may grow without renaming what was run before.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/config_tree.h"

namespace trimtab {

// What distinguishes a run from its base.
struct RunSettings {
  std::string name;                                         // "length=20,seed=1": also its folder
  std::vector<Assignment> set;                              // in this order
  std::vector<std::pair<std::string, std::string>> labels;  // axis and setting: "length", "20"
};

// `grid` is a map of axes, or a list of such maps whose runs follow each other:
//   method.length: [1, 20]                                    values of a key
//   size: [{name: small, set: [model.weights=small.h5]}]      named settings of whatever keys
// `exclude` is a list of maps from axes to settings (one, or a list): a run that has all of them is left out.
// The first axis changes slowest. Throws ConfigError with file and line: malformed parts, an axis of
// `exclude` or one of its settings that no grid has, two axes of a run that set the same key, nothing left.
std::vector<RunSettings> expand_grid(const ConfigNode& grid, const ConfigNode& exclude);

// Throws ConfigError unless the name can be that of a folder and is no number, which would be taken for the
// position of a run.
void check_run_name(const std::string& name, const std::string& place);

}  // namespace trimtab
