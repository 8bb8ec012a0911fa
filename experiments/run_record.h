// SPDX-License-Identifier: Apache-2.0
//
// What a run leaves behind: the names of the files in its folder, and record.json, which says on what
// machine, with what versions and from which base model the numbers came. `compare` and people read it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/rank_traffic.h"
#include "experiments/saving_cost.h"

namespace trimtab {

class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string config() const { return path_ + "/config.yaml"; }
  std::string record() const { return path_ + "/record.json"; }
  std::string environment() const { return path_ + "/environment.json"; }  // launch/run_environment.h
  std::string ranks() const { return path_ + "/ranks"; }                   // what each rank does, and its log
  std::string lock() const { return path_ + "/lock"; }                     // runtime/file_lock.h
  std::string metrics() const { return path_ + "/metrics.jsonl"; }
  std::string tensorboard() const { return path_ + "/tb"; }
  std::string best() const { return path_ + "/best.h5"; }  // best score on the dev split
  std::string last() const { return path_ + "/last.h5"; }  // to go on from
  // What came after it (step_journal.h): two files by turns, and two of another host.
  static constexpr int kJournals = 4;
  std::string journal(int number) const { return path_ + "/journal-" + std::to_string(number) + ".h5"; }
  std::string predictions(const std::string& split) const {
    return path_ + "/predictions-" + split + ".jsonl";
  }

 private:
  std::string path_;
};

// Scores of one split, in percent.
struct SplitScores {
  std::vector<std::pair<std::string, double>> metrics;
  std::string main;  // the metric that counts
  std::int64_t examples = 0;
  std::int64_t invalid = 0;        // predictions that are no legal label
  std::int64_t cut_inputs = 0;     // inputs longer than max_input
  std::optional<double> majority;  // the main metric of the most frequent label; nothing without labels
  double main_value() const;
};

struct RunRecord {
  std::string name;
  std::string status = "running";  // or "finished", "interrupted", "failed"
  std::string method, task, weights;
  std::string base_hash_before, base_hash_after;  // the latter only once the run has ended
  std::int64_t base_parameters = 0;
  std::int64_t trained_parameters = 0;
  std::string mesh;  // "data 2 x pipe 1 x tensor 1"; "" for records of older programs
  // Of the steps of the process that made the last of them: this rank's (rank 0's in the file), and once the
  // run has ended each rank's.
  RankTraffic traffic;
  std::vector<RankTraffic> traffic_of_ranks;
  std::int64_t traffic_steps = 0;
  std::int64_t steps = 0;       // made
  std::int64_t best_step = -1;  // -1: none yet
  double best_score = 0.0;
  double seconds = 0.0;  // of all parts of an interrupted run
  int threads = 0;
  int together = 1;               // runs that shared the process and the frozen model
  std::uint64_t peak_memory = 0;  // rank 0's
  std::vector<std::uint64_t>
      rank_peaks;  // of each rank's process in the last part of the run; once it has ended
  SavingCost checkpoints, journal;
  std::map<std::string, SplitScores> scores;  // by split

  // Trained numbers for 100 numbers of the model.
  double share_percent() const;
};

// Atomically. Adds versions, host and the processor's instruction sets.
void save_record(const RunRecord& record, const std::string& path);
// Nothing if there is no such file. Throws Error that names a file that is no record.
std::optional<RunRecord> load_record(const std::string& path);

}  // namespace trimtab
