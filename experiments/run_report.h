// SPDX-License-Identifier: Apache-2.0
//
// Everything that a run says while it goes: metrics.jsonl, TensorBoard, the progress line, and words. The
// stream belongs to whoever started the run (launch/), since nothing else prints.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "experiments/metrics_log.h"
#include "experiments/progress.h"
#include "experiments/run_record.h"
#include "experiments/tensorboard.h"

namespace trimtab {

// Where words go. `terminal`: the progress line may be redrawn in place.
struct Console {
  std::ostream& out;
  bool terminal = false;
  double line_seconds = 30.0;  // between progress lines when it is no terminal
  std::string run = {};        // in front of each line, where several runs write by turns
};

// "validation: accuracy 81.25 (872 examples, 0 invalid labels, 3 cut inputs, 4.1 s)".
std::string score_line(const std::string& split, const SplitScores& scores, double seconds);
// The same for metrics.jsonl.
nlohmann::ordered_json score_values(const SplitScores& scores, double seconds);

class RunReport {
 public:
  // `done` steps were made before; what earlier files say of later steps is dropped, since it will be said
  // again. Of many ranks one speaks; the others' reports write and print nothing.
  RunReport(const RunFolder& folder, Console& console, const std::string& label, std::int64_t done,
            std::int64_t total, bool speaks = true);

  // Writes numbers after so many steps to metrics.jsonl and, under "<kind>/<key>", to TensorBoard.
  void metrics(std::int64_t steps_made, const std::string& kind, const nlohmann::ordered_json& values);
  // Moves the progress line.
  void progress(std::int64_t done, double loss);
  // A line of its own.
  void say(const std::string& text);
  // Ends the progress line.
  void finish();

 private:
  struct Output {
    MetricsLog log;
    TensorBoardWriter board;
    Progress progress;
  };

  Console& console_;
  std::unique_ptr<Output> output_;  // null: silent
};

}  // namespace trimtab
