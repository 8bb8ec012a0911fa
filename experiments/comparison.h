// SPDX-License-Identifier: Apache-2.0
//
// Several runs of one base experiment side by side: which there are, one table of what came out, and one
// picture of how it came about. Running them is the caller's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/experiment_config.h"
#include "experiments/plot.h"
#include "experiments/run_record.h"
#include "runtime/config.h"

namespace trimtab {

struct ComparedRun {
  std::string name;
  std::vector<std::string> set;
};

struct ComparisonConfig {
  std::string name = "comparison";
  std::string output;
  std::string base;
  std::vector<ComparedRun> runs;
};

template <class V>
void describe(V& v, ComparedRun& s) {
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
  v.field("runs", s.runs, "The runs, in the order of the table.", {.required = true, .min_size = 1});
}

// Reads it, resolves `base`, and refuses two runs of one name. Throws ConfigError.
ComparisonConfig load_comparison(const std::string& path);

// The experiment of a run; `overrides` come after its own.
ExperimentConfig experiment_of(const ComparisonConfig& comparison, const ComparedRun& run,
                               const std::vector<std::string>& overrides);

// Whether the output folder of a resolved experiment holds the finished run of it, as long and scored in the
// same way. Throws ConfigError when it holds a run with other settings.
bool is_finished(const ExperimentConfig& config);

// A run and what it left; no record if it failed before it wrote one.
struct ComparedResult {
  std::string name;
  std::string output;
  std::optional<RunRecord> record;
};

// A table in Markdown: run, score on the dev and test split, trained parameters, share of the model, seconds.
std::string comparison_table(const std::vector<ComparedResult>& results, const std::string& dev_split);

// Dev score over the steps of each run that trains, and a level for each that does not.
Plot comparison_plot(const std::string& title, const std::vector<ComparedResult>& results,
                     const std::string& dev_split);

}  // namespace trimtab
