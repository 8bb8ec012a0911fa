// SPDX-License-Identifier: Apache-2.0
#include "runtime/activity.h"

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kStartUp:
      return "start-up";
    case Phase::kForward:
      return "forward";
    case Phase::kBackward:
      return "backward";
    case Phase::kUpdate:
      return "update";
    case Phase::kDecoding:
      return "decoding";
    case Phase::kSaving:
      return "saving";
    case Phase::kEnd:
      return "ending";
  }
  fail("no phase has number {}", static_cast<int>(phase));
}

std::string Place::text() const {
  std::string out(name_of(phase));
  if (step >= 0) out += fmt::format(", step {}", step);
  if (micro >= 0) out += fmt::format(", micro-batch {}", micro);
  return out;
}

std::string Operation::text() const {
  return fmt::format("{} {} of {} bytes on '{}' ({})", sequence, call, bytes, axis, traffic);
}

void Activity::enter(Phase phase, std::int64_t micro) {
  const std::scoped_lock lock(mutex_);
  place_.phase = phase;
  place_.micro = micro;
  since_ = WatchClock::now();
}

void Activity::begin_step(std::int64_t step) {
  const std::scoped_lock lock(mutex_);
  place_.step = step;
}

void Activity::begin(std::string_view call, const std::string& axis, std::string_view traffic,
                     std::int64_t bytes) {
  const std::scoped_lock lock(mutex_);
  since_ = WatchClock::now();
  waiting_ = true;
  Operation& slot = ring_[static_cast<std::size_t>(next_) % kKept];
  slot = {next_++, call, axis, traffic, bytes, place_, since_, WatchClock::time_point::min()};
}

void Activity::end() {
  const std::scoped_lock lock(mutex_);
  since_ = WatchClock::now();
  waiting_ = false;
  ring_[static_cast<std::size_t>(next_ - 1) % kKept].ended = since_;
}

Activity::Snapshot Activity::snapshot() const {
  const std::scoped_lock lock(mutex_);
  Snapshot out{place_, waiting_, since_, {}};
  const auto kept = static_cast<std::int64_t>(kKept);
  for (std::int64_t i = std::max<std::int64_t>(0, next_ - kept); i < next_; ++i)
    out.operations.push_back(ring_[static_cast<std::size_t>(i % kept)]);
  return out;
}

}  // namespace trimtab
