// SPDX-License-Identifier: Apache-2.0
//
// One line that says how far a run is:
//   train   120/30000   0.4 %   3.20 step/s   2:35:37 left   loss 1.234
// On a terminal it is redrawn in place; elsewhere (a file, a batch system's log) a whole line is written now
// and then. The caller owns clock and stream, and calls from one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

namespace trimtab {

struct ProgressOptions {
  std::string label = "train";
  std::string unit = "step";
  std::int64_t first = 0;  // done before this run started (a resumed run): not counted in the rate
  std::int64_t total = 0;
  bool terminal = false;
  double redraw_seconds = 0.1;  // terminal: at most so often
  double line_seconds = 30.0;   // elsewhere: at most so often
  double rate_seconds = 60.0;   // the rate is that of about the last so many seconds
  std::size_t width = 80;       // terminal columns: a longer line would not be redrawn in place
};

class Progress {
 public:
  // Seconds from any fixed moment, never going back.
  using Clock = std::function<double()>;

  Progress(ProgressOptions options, Clock clock, std::ostream& out);

  // `done` counts from 0 to total, `first` included. Writes only if it is time to; always when done == total.
  void update(std::int64_t done, std::optional<double> loss = std::nullopt);
  // Takes the line off the terminal, so that something else can be written; the next update draws it anew.
  void clear();
  // Ends the line on a terminal. Call it once, also when the run stops early.
  void finish();

 private:
  double rate() const;
  std::string line(std::int64_t done, std::optional<double> loss) const;

  ProgressOptions options_;
  Clock clock_;
  std::ostream& out_;
  std::deque<std::pair<double, std::int64_t>> samples_;  // (time, done), oldest first
  double next_ = 0.0;
  bool drawn_ = false;
};

// "0:07", "12:34", "2:35:37", "3d 02:35:37"; rounds to the nearest second.
std::string readable_duration(double seconds);

}  // namespace trimtab
