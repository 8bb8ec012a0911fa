// SPDX-License-Identifier: Apache-2.0
#include "experiments/timeline.h"

#include <gtest/gtest.h>

#include <map>

#include "runtime/check.h"

namespace trimtab {
namespace {

std::vector<Actions> lists_of(const std::string& schedule, const ScheduleShape& shape) {
  std::vector<Actions> lists;
  for (int stage = 0; stage < shape.stages; ++stage)
    lists.push_back(schedule_actions(schedule, shape, stage));
  return lists;
}

Durations durations(double forward, double backward, double message) {
  return {[=](int, const Work& work) { return work.compute == Compute::kForward ? forward : backward; },
          [=](int, const Message&) { return message; }};
}

TEST(Timeline, EvenStagesTakeTheKnownTime) {
  // (micro-batches + stages - 1) passes, of which stages - 1 are idle (Narayanan et al. 2021, section 2.2).
  const Timeline line = simulate(lists_of("1f1b", {4, 8, 0}), durations(1, 2, 0));
  EXPECT_DOUBLE_EQ(line.seconds, (8 + 4 - 1) * 3.0);
  EXPECT_DOUBLE_EQ(line.idle_share(4), 3.0 / 11.0);
  EXPECT_DOUBLE_EQ(simulate(lists_of("gpipe", {4, 8, 0}), durations(1, 2, 0)).seconds, 33.0);
  EXPECT_DOUBLE_EQ(simulate(lists_of("1f1b", {1, 5, 0}), durations(1, 2, 7)).seconds, 15.0);
}

TEST(Timeline, MessagesTakeTime) {
  // One micro-batch goes through and back: two messages each way.
  EXPECT_DOUBLE_EQ(simulate(lists_of("1f1b", {3, 1, 0}), durations(1, 2, 0.25)).seconds, 3 * 3 + 4 * 0.25);
}

TEST(Timeline, FrozenStagesRunForwardOnly) {
  const Timeline line = simulate(lists_of("1f1b", {2, 3, 1}), durations(1, 2, 0));
  for (const TimedWork& timed : line.work)
    EXPECT_TRUE(timed.stage > 0 || timed.work.compute == Compute::kForward);
  EXPECT_DOUBLE_EQ(line.seconds, 1 + 3 * 3.0);
}

// For all small shapes: a stage's work in its order and one at a time, nothing before its input is there.
TEST(Timeline, KeepsToTheSchedule) {
  for (const std::string schedule : {"1f1b", "gpipe", "forward_only"})
    for (int stages = 1; stages <= 4; ++stages)
      for (int micro = 1; micro <= 5; ++micro)
        for (int first = 0; first <= stages; ++first) {
          const ScheduleShape shape{stages, micro, first};
          const auto lists = lists_of(schedule, shape);
          const Timeline line = simulate(lists, durations(1, 1.5, 0.125));
          std::map<std::tuple<int, Compute, int>, TimedWork> found;
          std::vector<std::vector<Work>> order(static_cast<std::size_t>(stages));
          std::vector<double> free(static_cast<std::size_t>(stages), 0.0);
          for (const TimedWork& timed : line.work) {
            const auto stage = static_cast<std::size_t>(timed.stage);
            EXPECT_GE(timed.begin, free[stage]);
            free[stage] = timed.end;
            order[stage].push_back(timed.work);
            found[{timed.stage, timed.work.compute, timed.work.micro}] = timed;
          }
          for (int stage = 0; stage < stages; ++stage) {
            std::vector<Work> wanted;
            for (const Action& action : lists[static_cast<std::size_t>(stage)])
              if (action.work) wanted.push_back(*action.work);
            EXPECT_EQ(order[static_cast<std::size_t>(stage)], wanted);
            for (const Work& work : wanted) {
              const double begin = found.at({stage, work.compute, work.micro}).begin;
              const bool forward = work.compute == Compute::kForward;
              const auto before = found.find({stage + (forward ? -1 : 1), work.compute, work.micro});
              EXPECT_TRUE(before == found.end() || begin >= before->second.end + 0.125);
            }
          }
        }
}

TEST(Timeline, ListsThatDoNotEndAreAnError) {
  auto lists = lists_of("1f1b", {2, 2, 0});
  lists[1].pop_back();
  lists[1].clear();
  EXPECT_THROW(simulate(lists, durations(1, 1, 0)), Error);
}

}  // namespace
}  // namespace trimtab
