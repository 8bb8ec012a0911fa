// SPDX-License-Identifier: Apache-2.0
#include "parallel/learning_rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

OptimizerConfig with(const char* schedule, std::int64_t warmup) {
  OptimizerConfig config;
  config.learning_rate = 0.5;
  config.schedule = schedule;
  config.warmup_steps = warmup;
  return config;
}

TEST(LearningRate, PresetIsConstant) {
  for (const std::int64_t step : {0, 1, 29999, 1000000}) EXPECT_EQ(learning_rate_at({}, step, 30000), 0.3);
}

TEST(LearningRate, ConstantWarmsUpFromZero) {
  const OptimizerConfig config = with("constant", 4);
  EXPECT_EQ(learning_rate_at(config, 0, 10), 0.0);
  EXPECT_EQ(learning_rate_at(config, 1, 10), 0.125);
  EXPECT_EQ(learning_rate_at(config, 3, 10), 0.375);
  EXPECT_EQ(learning_rate_at(config, 4, 10), 0.5);
  EXPECT_EQ(learning_rate_at(config, 9, 10), 0.5);
}

TEST(LearningRate, LinearReachesZeroAtTheEndAndStaysThere) {
  const OptimizerConfig config = with("linear", 2);
  EXPECT_EQ(learning_rate_at(config, 1, 10), 0.25);
  EXPECT_EQ(learning_rate_at(config, 2, 10), 0.5);
  EXPECT_EQ(learning_rate_at(config, 6, 10), 0.25);
  EXPECT_EQ(learning_rate_at(config, 9, 10), 0.0625);
  EXPECT_EQ(learning_rate_at(config, 10, 10), 0.0);
  EXPECT_EQ(learning_rate_at(config, 11, 10), 0.0);
  EXPECT_EQ(learning_rate_at(with("linear", 0), 0, 10), 0.5);
}

TEST(LearningRate, LinearNeedsStepsAfterItsWarmUp) {
  EXPECT_THAT([] { learning_rate_at(with("linear", 10), 0, 10); },
              ThrowsMessage<ConfigError>(HasSubstr("optimizer.warmup_steps: 10 leaves no step")));
}

TEST(LearningRate, InverseSquareRootIsFlatDuringWarmUpAndCountsPreTraining) {
  OptimizerConfig config = with("inverse_square_root", 100);
  EXPECT_EQ(learning_rate_at(config, 0, 1), 0.05);
  EXPECT_EQ(learning_rate_at(config, 100, 1), 0.05);
  EXPECT_EQ(learning_rate_at(config, 400, 1), 0.025);
  EXPECT_EQ(learning_rate_at(with("inverse_square_root", 0), 0, 1), 0.5);
  config.learning_rate = 1.0;
  config.start_step = 1000000;
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 0, 1), 0.001);
}

TEST(LearningRate, StaircaseOfThePapersSearchSpace) {
  OptimizerConfig config = with("constant", 0);
  config.decay_factor = 0.1;
  config.steps_per_decay = 4000;
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 3999, 30000), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 4000, 30000), 0.05);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 8001, 30000), 0.005);
}

TEST(LearningRate, UnknownScheduleNamesTheKnownOnes) {
  EXPECT_THAT([] { learning_rate_at(with("cosine", 0), 0, 10); },
              ThrowsMessage<ConfigError>(HasSubstr("'cosine' is not known: use one of constant, linear")));
}

}  // namespace
}  // namespace trimtab
