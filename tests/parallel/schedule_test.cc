// SPDX-License-Identifier: Apache-2.0
//
// Every schedule over every shape: complete, in order, bounded, and free of deadlocks; and that the search
// for deadlocks finds the ones that it should.
#include "parallel/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace trimtab {
namespace {

using testing::HasSubstr;

std::vector<Actions> all_stages(const std::string& name, const ScheduleShape& shape) {
  std::vector<Actions> stages;
  for (int s = 0; s < shape.stages; ++s) stages.push_back(schedule_actions(name, shape, s));
  return stages;
}

// Calls `body` with every shape, trained from every stage on and not at all.
void for_all_shapes(const std::function<void(const ScheduleShape&)>& body) {
  for (int stages = 1; stages <= 6; ++stages)
    for (int micro = 1; micro <= 9; ++micro)
      for (int first = 0; first <= stages; ++first) body({stages, micro, first});
}

std::string text_of(const std::string& name, const ScheduleShape& shape) {
  return fmt::format("{} with {} stages, {} micro-batches, trained from {}", name, shape.stages,
                     shape.micro_batches, shape.first_trained);
}

int count(const Actions& actions, const Work& work) {
  return static_cast<int>(
      std::count_if(actions.begin(), actions.end(), [&](const Action& a) { return a.work == work; }));
}

TEST(Schedule, NamesAreKnown) {
  EXPECT_EQ(schedule_registry().names(), (std::vector<std::string>{"1f1b", "gpipe", "forward_only"}));
  EXPECT_THROW(schedule_actions("gpip", {2, 2, 0}, 0), ConfigError);
  EXPECT_THROW(schedule_actions("gpipe", {2, 2, 0}, 2), Error);
}

TEST(Schedule, ComputesEachMicroBatchOnceAndForwardFirst) {
  for (const std::string& name : schedule_registry().names())
    for_all_shapes([&](const ScheduleShape& shape) {
      for (int s = 0; s < shape.stages; ++s) {
        const Actions actions = schedule_actions(name, shape, s);
        const int backward = name != "forward_only" && s >= shape.first_trained ? 1 : 0;
        for (int m = 0; m < shape.micro_batches; ++m) {
          ASSERT_EQ(count(actions, {Compute::kForward, m}), 1) << text_of(name, shape);
          ASSERT_EQ(count(actions, {Compute::kBackward, m}), backward) << text_of(name, shape);
          if (!backward) continue;
          const auto at = [&](Compute c) {
            return std::find_if(actions.begin(), actions.end(), [&](const Action& a) {
              return a.work == Work{c, m};
            });
          };
          ASSERT_LT(at(Compute::kForward), at(Compute::kBackward)) << text_of(name, shape);
        }
      }
    });
}

TEST(Schedule, OneForwardOneBackwardKeepsFewInFlight) {
  for_all_shapes([](const ScheduleShape& shape) {
    for (int s = shape.first_trained; s < shape.stages; ++s) {
      EXPECT_EQ(most_in_flight(schedule_actions("1f1b", shape, s)),
                std::min(shape.stages - s, shape.micro_batches));
      EXPECT_EQ(most_in_flight(schedule_actions("gpipe", shape, s)), shape.micro_batches);
    }
  });
}

TEST(Schedule, NoneDeadlocks) {
  for (const std::string& name : schedule_registry().names())
    for_all_shapes([&](const ScheduleShape& shape) {
      const auto found = find_deadlock(all_stages(name, shape));
      ASSERT_FALSE(found) << text_of(name, shape) << ": " << *found;
    });
}

TEST(Schedule, NoGradientCrossesIntoStagesThatTrainNothing) {
  const ScheduleShape shape{4, 3, 2};
  for (int s = 0; s < 4; ++s) {
    int sent = 0, received = 0;
    for (const Action& action : schedule_actions("1f1b", shape, s))
      for (const Message& m : action.messages)
        if (m.of.compute == Compute::kBackward) ++(m.send ? sent : received);
    EXPECT_EQ(sent, s == 3 ? 3 : 0) << s;
    EXPECT_EQ(received, s == 2 ? 3 : 0) << s;
  }
}

// What is sent and what is received between two pieces of work is one exchange.
TEST(Schedule, ExchangesAreFused) {
  const Actions actions = schedule_actions("1f1b", {2, 2, 0}, 0);
  ASSERT_EQ(actions.size(), 7u);
  const Work f0{Compute::kForward, 0}, f1{Compute::kForward, 1}, b0{Compute::kBackward, 0},
      b1{Compute::kBackward, 1};
  EXPECT_EQ(actions[0].work, f0);
  EXPECT_EQ(actions[1].messages, (std::vector<Message>{{true, f0, 1}}));
  EXPECT_EQ(actions[2].work, f1);
  EXPECT_EQ(actions[3].messages, (std::vector<Message>{{true, f1, 1}, {false, b0, 1}}));
  EXPECT_EQ(actions[4].work, b0);
  EXPECT_EQ(actions[5].messages, (std::vector<Message>{{false, b1, 1}}));
  EXPECT_EQ(actions[6].work, b1);
}

// The seeded fault: the same lists with each exchange taken apart, sends first, as blocking sends would do
// it.
Actions taken_apart(const Actions& actions) {
  Actions out;
  for (const Action& action : actions) {
    if (action.messages.size() < 2) {
      out.push_back(action);
      continue;
    }
    for (const bool send : {true, false}) {
      Action part;
      for (const Message& m : action.messages)
        if (m.send == send) part.messages.push_back(m);
      if (!part.messages.empty()) out.push_back(part);
    }
  }
  return out;
}

TEST(FindDeadlock, SendsThatAreNotFusedLock) {
  int deadlocks = 0;
  for (int stages = 2; stages <= 6; ++stages)
    for (int micro = 2; micro <= 9; ++micro) {
      std::vector<Actions> lists = all_stages("1f1b", {stages, micro, 0});
      for (Actions& list : lists) list = taken_apart(list);
      const auto found = find_deadlock(lists);
      ASSERT_TRUE(found) << stages << " stages, " << micro << " micro-batches";
      EXPECT_THAT(*found, HasSubstr("deadlock: stage "));
      ++deadlocks;
    }
  EXPECT_EQ(deadlocks, 40);
}

TEST(FindDeadlock, NamesTheCircle) {
  std::vector<Actions> lists = all_stages("1f1b", {2, 2, 0});
  for (Actions& list : lists) list = taken_apart(list);
  EXPECT_EQ(find_deadlock(lists).value_or("none"),
            "deadlock: stage 0 waits in action 3 to send activations of micro-batch 1 to stage 1, which is: "
            "stage 1 "
            "waits in action 3 to send gradients of micro-batch 0 to stage 0, where the circle closes");
}

TEST(FindDeadlock, NamesWhoHasEnded) {
  std::vector<Actions> lists = all_stages("gpipe", {2, 1, 0});
  lists[1].resize(2);  // receives and computes, and never sends the gradient
  EXPECT_EQ(
      find_deadlock(lists).value_or("none"),
      "endless wait: stage 0 waits in action 1 to receive gradients of micro-batch 0 from stage 1, which has "
      "ended");
}

TEST(FindDeadlock, NamesMessagesThatDoNotFit) {
  const Work f0{Compute::kForward, 0}, f1{Compute::kForward, 1};
  const std::vector<Actions> lists = {{{std::nullopt, {{true, f0, 1}}}}, {{std::nullopt, {{false, f1, 0}}}}};
  EXPECT_EQ(find_deadlock(lists).value_or("none"),
            "stage 0 sends activations of micro-batch 0 to stage 1, but stage 1 receives activations of "
            "micro-batch 1 "
            "from stage 0");
  EXPECT_THAT(find_deadlock({{{std::nullopt, {{true, f0, 1}}}}}).value_or("none"), HasSubstr("stage 1 of 1"));
}

}  // namespace
}  // namespace trimtab
