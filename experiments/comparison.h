// SPDX-License-Identifier: Apache-2.0
//
// Several runs of one base experiment side by side, listed or as a grid: one file, read and checked in full
// before anything runs. Running them is the caller's (launch/compare.cc).
#pragma once

#include <string>
#include <vector>

#include "experiments/experiment_config.h"
#include "runtime/config.h"

namespace trimtab {

struct ListedRun {
  std::string name;
  std::vector<std::string> set;
};

struct ComparisonConfig {
  std::string name = "comparison";
  std::string output;
  std::string base;
  std::vector<std::string> set;
  std::vector<ListedRun> runs;
  ConfigNode grid;
  ConfigNode exclude;
};

template <class V>
void describe(V& v, ListedRun& s) {
  v.field("name", s.name, "Name of the run, and of its folder.", {.required = true, .min_size = 1});
  v.field("set", s.set, "key=value overrides of the base experiment.");
}

template <class V>
void describe(V& v, ComparisonConfig& s) {
  v.field("name", s.name, "Title of table and picture.", {.min_size = 1});
  v.field("output", s.output, "Folder; each run gets one of its name in it.",
          {.required = true, .min_size = 1});
  v.field("base", s.base, "The experiment that the runs change, relative to this file.",
          {.required = true, .min_size = 1});
  v.field("set", s.set, "key=value overrides of the base experiment for every run.");
  v.field("runs", s.runs, "Runs one by one.");
  v.field("grid", s.grid,
          "Axes and their settings: each combination is a run, named after its settings. A list of such "
          "sections: their runs one after the other.");
  v.field("exclude", s.exclude, "Combinations of the grid that are left out.");
}

struct ComparedRun {
  std::string name;
  ExperimentConfig config;  // resolved; its output is a folder of the comparison's
};

struct Comparison {
  std::string name;
  std::string output;
  std::vector<ComparedRun> runs;  // listed ones first, then those of the grid
};

// Reads the file and resolves every run. A run that names another method than the base leaves the options of
// the base's method behind. `overrides` come after the runs' own; `output` replaces the file's unless it is
// "". Throws ConfigError with the place: keys that nothing knows, two runs of one name, no run at all.
Comparison load_comparison(const std::string& path, const std::vector<std::string>& overrides = {},
                           const std::string& output = "");

// Throws ConfigError if two runs have different names for one experiment, as overrides of what an axis sets
// would make them.
void check_distinct(const Comparison& comparison);

// The position, from 0, of the run with this name, or with this number counted from 1. Throws ConfigError.
std::size_t find_run(const Comparison& comparison, const std::string& name_or_number);

}  // namespace trimtab
