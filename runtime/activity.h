// SPDX-License-Identifier: Apache-2.0
//
// What one rank is doing, for whoever waits for it: the phase that it is in, and a ring of its last
// operations on communicators. World owns one and the rank's thread writes it; any thread may read. A few
// tens of nanoseconds an operation.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

enum class Phase { kStartUp, kForward, kBackward, kUpdate, kDecoding, kSaving, kEnd };

std::string_view name_of(Phase phase);

// Where in the run a rank is. -1: not in a step, not in a micro-batch.
struct Place {
  Phase phase = Phase::kStartUp;
  std::int64_t step = -1;
  std::int64_t micro = -1;

  // "backward, step 12, micro-batch 3"
  std::string text() const;
};

using WatchClock = std::chrono::steady_clock;

struct Operation {
  std::int64_t sequence = -1;  // counts the rank's operations
  std::string_view call;       // "all_reduce"
  std::string axis;            // name of the communicator
  std::string_view traffic;    // what for
  std::int64_t bytes = 0;
  Place place;
  WatchClock::time_point begun;
  WatchClock::time_point ended;  // before `begun` while it waits

  bool waits() const { return ended < begun; }
  // "813 all_reduce of 4096 bytes on 'tensor' (gradient)"
  std::string text() const;
};

class Activity {
 public:
  static constexpr std::size_t kKept = 64;

  struct Snapshot {
    Place place;
    bool waiting = false;               // in the last of the operations
    WatchClock::time_point since;       // of waiting, or of computing
    std::vector<Operation> operations;  // oldest first
  };

  void enter(Phase phase, std::int64_t micro = -1);
  // Holds until the next step begins: what is evaluated or saved is what this one left.
  void begin_step(std::int64_t step);
  void begin(std::string_view call, const std::string& axis, std::string_view traffic, std::int64_t bytes);
  void end();

  Snapshot snapshot() const;

 private:
  mutable std::mutex mutex_;
  Place place_;
  std::int64_t next_ = 0;
  bool waiting_ = false;
  WatchClock::time_point since_ = WatchClock::now();
  std::array<Operation, kKept> ring_;
};

// Notes one operation from its construction to its destruction, whatever ends it; `activity` may be null.
class NotedOperation {
 public:
  NotedOperation(Activity* activity, std::string_view call, const std::string& axis, std::string_view traffic,
                 std::int64_t bytes)
      : activity_(activity) {
    if (activity_ != nullptr) activity_->begin(call, axis, traffic, bytes);
  }
  ~NotedOperation() {
    if (activity_ != nullptr) activity_->end();
  }
  NotedOperation(const NotedOperation&) = delete;
  NotedOperation& operator=(const NotedOperation&) = delete;

 private:
  Activity* activity_;
};

}  // namespace trimtab
