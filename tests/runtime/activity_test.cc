// SPDX-License-Identifier: Apache-2.0
#include "runtime/activity.h"

#include <gmock/gmock.h>

namespace trimtab {
namespace {

TEST(Activity, BeginsWithComputingAtStartUp) {
  const Activity activity;
  const Activity::Snapshot now = activity.snapshot();
  EXPECT_FALSE(now.waiting);
  EXPECT_TRUE(now.operations.empty());
  EXPECT_EQ(now.place.text(), "start-up");
}

TEST(Activity, KnowsPlaceAndCall) {
  Activity activity;
  activity.begin_step(12);
  activity.enter(Phase::kBackward, 3);
  activity.begin("all_reduce", "tensor", "gradient", 4096);
  const Activity::Snapshot waiting = activity.snapshot();
  EXPECT_TRUE(waiting.waiting);
  ASSERT_EQ(waiting.operations.size(), 1u);
  EXPECT_TRUE(waiting.operations[0].waits());
  EXPECT_EQ(waiting.operations[0].text(), "0 all_reduce of 4096 bytes on 'tensor' (gradient)");
  EXPECT_EQ(waiting.operations[0].place.text(), "backward, step 12, micro-batch 3");
  activity.end();
  activity.enter(Phase::kSaving);
  const Activity::Snapshot later = activity.snapshot();
  EXPECT_FALSE(later.waiting);
  EXPECT_FALSE(later.operations[0].waits());
  EXPECT_EQ(later.place.text(), "saving, step 12");
}

TEST(Activity, KeepsTheLastOperationsInOrder) {
  Activity activity;
  const auto kept = static_cast<std::int64_t>(Activity::kKept);
  for (std::int64_t i = 0; i < 2 * kept + 5; ++i) {
    const NotedOperation operation(&activity, "barrier", "all", "control", i);
  }
  const auto operations = activity.snapshot().operations;
  ASSERT_EQ(operations.size(), Activity::kKept);
  for (std::int64_t i = 0; i < kept; ++i) {
    EXPECT_EQ(operations[static_cast<std::size_t>(i)].sequence, kept + 5 + i);
    EXPECT_EQ(operations[static_cast<std::size_t>(i)].bytes, kept + 5 + i);
  }
}

TEST(Activity, AnOperationThatThrowsHasEnded) {
  Activity activity;
  try {
    const NotedOperation operation(&activity, "barrier", "all", "control", 0);
    throw 1;
  } catch (int) {
  }
  EXPECT_FALSE(activity.snapshot().waiting);
  const NotedOperation nowhere(nullptr, "barrier", "all", "control", 0);
}

}  // namespace
}  // namespace trimtab
