// SPDX-License-Identifier: Apache-2.0
//
// Seconds of the parts of a run, which need not follow each other: what is done for other runs in between
// does not count.
#pragma once

#include <chrono>

namespace trimtab {

class Stopwatch {
 public:
  explicit Stopwatch(double seconds = 0.0) : seconds_(seconds) {}

  void start() { begin_ = Clock::now(); }
  void stop() {
    seconds_ += since_start();
    begin_ = {};
  }
  // Time that was measured elsewhere.
  void add(double seconds) { seconds_ += seconds; }
  // Of all parts, that which is under way included.
  double seconds() const { return seconds_ + since_start(); }

 private:
  using Clock = std::chrono::steady_clock;
  double since_start() const {
    return begin_ == Clock::time_point() ? 0.0 : std::chrono::duration<double>(Clock::now() - begin_).count();
  }

  double seconds_ = 0.0;
  Clock::time_point begin_;
};

// Runs the clock as long as it lives.
class Timed {
 public:
  explicit Timed(Stopwatch& clock) : clock_(clock) { clock_.start(); }
  ~Timed() { clock_.stop(); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  Stopwatch& clock_;
};

}  // namespace trimtab
