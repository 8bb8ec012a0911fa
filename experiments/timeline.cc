// SPDX-License-Identifier: Apache-2.0
#include "experiments/timeline.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "runtime/check.h"

namespace trimtab {
namespace {

class Simulation {
 public:
  Simulation(const std::vector<Actions>& stages, const Durations& durations)
      : stages_(stages), durations_(durations), at_(stages.size(), 0), now_(stages.size(), 0.0) {}

  Timeline run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t stage = 0; stage < stages_.size(); ++stage)
        while (at_[stage] < stages_[stage].size() && act(stage)) moved = true;
    }
    for (std::size_t stage = 0; stage < stages_.size(); ++stage)
      if (at_[stage] < stages_[stage].size())
        fail("the schedule does not end: {}", find_deadlock(stages_).value_or("no reason was found"));
    for (const double end : now_) out_.seconds = std::max(out_.seconds, end);
    return std::move(out_);
  }

 private:
  // Who sends, who receives, of which work.
  using Key = std::tuple<int, int, Compute, int>;
  struct Ends {
    std::optional<double> sent, received;  // when each side was ready
  };

  // One action, if it can end.
  bool act(std::size_t stage) {
    const Action& action = stages_[stage][at_[stage]];
    if (action.work) {
      const int number = static_cast<int>(stage);
      const double end = now_[stage] + durations_.of_work(number, *action.work);
      out_.work.push_back({number, *action.work, now_[stage], end});
      now_[stage] = end;
    } else if (!exchange(stage, action.messages)) {
      return false;
    }
    ++at_[stage];
    return true;
  }

  bool exchange(std::size_t stage, const std::vector<Message>& messages) {
    const int number = static_cast<int>(stage);
    bool met = true;
    double end = now_[stage];
    for (const Message& message : messages) {
      const int from = message.send ? number : message.peer, to = message.send ? message.peer : number;
      Ends& ends = ends_[{from, to, message.of.compute, message.of.micro}];
      (message.send ? ends.sent : ends.received) = now_[stage];
      if (!ends.sent || !ends.received) {
        met = false;
        continue;
      }
      const Message sent{true, message.of, to};
      end = std::max(end, std::max(*ends.sent, *ends.received) + durations_.of_message(from, sent));
    }
    if (met) now_[stage] = end;
    return met;
  }

  const std::vector<Actions>& stages_;
  const Durations& durations_;
  std::vector<std::size_t> at_;
  std::vector<double> now_;
  std::map<Key, Ends> ends_;
  Timeline out_;
};

}  // namespace

double Timeline::idle_share(int stages) const {
  double busy = 0.0;
  for (const TimedWork& timed : work) busy += timed.end - timed.begin;
  return seconds > 0.0 ? 1.0 - busy / (seconds * stages) : 0.0;
}

Timeline simulate(const std::vector<Actions>& stages, const Durations& durations) {
  return Simulation(stages, durations).run();
}

}  // namespace trimtab
