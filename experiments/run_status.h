// SPDX-License-Identifier: Apache-2.0
//
// How a run is doing, by what its folder holds, also while it runs: nothing is asked of the run and nothing
// is written. As text for a terminal, or as one HTML page that needs no other file.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace trimtab {

struct RunStatus {
  std::string folder, name;
  // "starting (process 71 on node-3)", "running (...)", "finished", "interrupted", "failed", or "gone": it
  // says that it runs, but nobody holds its lock.
  std::string state;
  bool runs = false;
  std::int64_t step = 0, steps = 0;  // made, of how many
  double seconds_a_step = 0.0;       // median of the latest steps in the log; 0: not known
  std::vector<std::pair<std::int64_t, double>> losses, scores;  // after so many steps
  std::int64_t best_step = -1;
  double best_score = 0.0;
  double metrics_age = -1.0, checkpoint_age = -1.0, journal_age = -1.0,
         ranks_age = -1.0;  // seconds since written; -1: not there
  // While it runs: "rank 3 on b: computing for 12 s in backward, step 12, micro-batch 3". One that falls
  // silent while others do not is said to.
  std::vector<std::string> ranks;

  double seconds_left() const { return seconds_a_step * static_cast<double>(steps - step); }
};

// Of a run's folder, or of all runs below it, by name. Throws ConfigError that names a folder without any.
std::vector<RunStatus> status_of(const std::string& folder);

// Some lines a run; of several runs one line each.
std::string status_text(const std::vector<RunStatus>& runs);
// With the curves of loss and score of each run. Reloads itself if it `is_written_again`.
std::string status_page(const std::string& title, const std::vector<RunStatus>& runs, bool is_written_again);

}  // namespace trimtab
