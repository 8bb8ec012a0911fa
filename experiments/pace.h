// SPDX-License-Identifier: Apache-2.0
//
// When to do again what has to be done again and again: whoever does it asks due(), and says when it was
// done. Times are passed in.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

namespace trimtab {

using PaceClock = std::chrono::steady_clock;

// So that it costs at most a hundredth of the time, but is not put off for longer than half a minute. The
// least of the latest costs counts: one that met a busy disk says nothing of the next.
class Pace {
 public:
  static constexpr int kShare = 100;
  static constexpr std::chrono::seconds kMost{30};

  // At once where it was never done.
  bool due(PaceClock::time_point now) const {
    if (times_ == 0) return true;
    const auto known = costs_.begin() + static_cast<std::ptrdiff_t>(std::min(times_, costs_.size()));
    const PaceClock::duration pause = kShare * *std::min_element(costs_.begin(), known);
    return now - done_ >= std::min<PaceClock::duration>(pause, kMost);
  }
  void done(PaceClock::time_point begin, PaceClock::time_point end) {
    costs_[times_++ % costs_.size()] = end - begin;
    done_ = end;
  }

 private:
  std::array<PaceClock::duration, 5> costs_{};
  std::size_t times_ = 0;
  PaceClock::time_point done_;
};

// After a failure: tried again after a second, then after twice as long, at most a minute.
class Retry {
 public:
  static constexpr std::chrono::seconds kFirst{1}, kMost{60};

  bool failing() const { return pause_.count() > 0; }
  bool due(PaceClock::time_point now) const { return !failing() || now - failed_ >= pause_; }
  void failed(PaceClock::time_point now) {
    pause_ = failing() ? std::min(2 * pause_, kMost) : kFirst;
    failed_ = now;
  }
  void worked() { pause_ = {}; }

 private:
  std::chrono::seconds pause_{};
  PaceClock::time_point failed_;
};

}  // namespace trimtab
