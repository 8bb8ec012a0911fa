// SPDX-License-Identifier: Apache-2.0
#include "experiments/pace.h"

#include <gtest/gtest.h>

namespace trimtab {
namespace {

using namespace std::chrono_literals;
const PaceClock::time_point kStart{1h};

TEST(Pace, CostsAHundredthOfTheTime) {
  Pace pace;
  EXPECT_TRUE(pace.due(kStart)) << "was never done";
  pace.done(kStart, kStart + 30ms);
  EXPECT_FALSE(pace.due(kStart + 3029ms));
  EXPECT_TRUE(pace.due(kStart + 3030ms));
}

TEST(Pace, AHiccupIsForgiven) {
  Pace pace;
  pace.done(kStart, kStart + 1ms);
  pace.done(kStart, kStart + 5s);
  EXPECT_FALSE(pace.due(kStart + 5099ms));
  EXPECT_TRUE(pace.due(kStart + 5100ms));
  // Only once five in a row were dear is it dear.
  for (int i = 0; i < 4; ++i) pace.done(kStart, kStart + 200ms);
  EXPECT_FALSE(pace.due(kStart + 20s));
  EXPECT_TRUE(pace.due(kStart + 20200ms));
}

TEST(Pace, IsNotPutOffForLongerThanHalfAMinute) {
  Pace pace;
  pace.done(kStart, kStart + 3s);
  EXPECT_FALSE(pace.due(kStart + 32s));
  EXPECT_TRUE(pace.due(kStart + 33s));
}

TEST(Retry, ComesLaterEachTime) {
  Retry retry;
  EXPECT_TRUE(retry.due(kStart));
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    retry.failed(kStart);
    EXPECT_TRUE(retry.failing());
    EXPECT_FALSE(retry.due(kStart + pause - 1ms));
    EXPECT_TRUE(retry.due(kStart + pause));
  }
  retry.worked();
  EXPECT_FALSE(retry.failing());
  EXPECT_TRUE(retry.due(kStart));
  retry.failed(kStart);
  EXPECT_TRUE(retry.due(kStart + 1s));
}

}  // namespace
}  // namespace trimtab
