// SPDX-License-Identifier: Apache-2.0
//
// Finished runs gathered into rows: runs that differ in the seed alone are one row with mean and spread, and
// the columns are the fewest settings that tell the rows apart.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/stored_run.h"

namespace trimtab {

struct Statistic {
  double mean = 0;
  double deviation = 0;  // of the sample (n - 1); 0 for one value
  std::size_t count = 0;
};

// Throws if there are no values.
Statistic statistic_of(const std::vector<double>& values);

struct ResultColumn {
  std::string key;    // dotted, or the axis of a comparison
  std::string title;  // short
};

struct ResultRow {
  std::vector<std::string> settings;  // one a column; "" where the row has no such key
  std::vector<StoredRun> runs;        // of different seeds

  const RunRecord& record() const { return runs.front().record; }
  // The main metric of a split over the runs that were scored on it; count 0 if none was.
  Statistic score(const std::string& split) const;
  // Of the split that chose the checkpoints: predictions that were no legal label, a run.
  double invalid() const;
  std::optional<double> majority() const;
  double seconds() const;
  std::uint64_t peak_memory() const;
  // For legends: "prompt_tuning, length 20".
  std::string name(const std::vector<ResultColumn>& columns) const;
};

struct Results {
  std::vector<ResultColumn> columns;
  std::vector<ResultRow> rows;  // in the order in which their first runs came
  std::vector<std::string> splits;
  std::vector<std::string> notes;  // runs that are in no row, and why
};

Results collate(const std::vector<StoredRun>& runs);

// One run for each seed and setting in place of its runs on all the tasks, scored with the mean of their main
// metrics; the sections task and text are the tasks' own. What lacks a task is left out, with a note.
std::vector<StoredRun> mean_over_tasks(const std::vector<StoredRun>& runs, std::vector<std::string>& notes);

}  // namespace trimtab
