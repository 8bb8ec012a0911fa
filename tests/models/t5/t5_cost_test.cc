// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/check.h"

namespace trimtab {
namespace {

T5Config tiny() {
  T5Config config;
  config.vocab = 10;
  config.d_model = 4;
  config.d_kv = 2;
  config.heads = 3;
  config.d_ff = 5;
  config.encoder_layers = 2;
  config.decoder_layers = 2;
  return config;
}

TEST(T5Cost, CountsByHand) {
  const auto units = t5_cost_units(tiny(), {8, 2});
  ASSERT_EQ(units.size(), 4u);
  EXPECT_EQ(units[1].name, "encoder 1");
  // Matrices: 4 operations a weight and token; 4 * 4 * 6 of attention, 3 * 4 * 5 of the feed-forward. Then 14
  // operations for each pair of tokens and inner column.
  const double encoder = 4 * 8 * (4 * 4 * 6 + 3 * 4 * 5) + 14 * 8 * 8 * 6;
  EXPECT_EQ(units[1].cost, encoder);
  EXPECT_EQ(units[0].cost, encoder + 8 * 4) << "with the embedding";
  // Absorbed cross-attention: 2 * d * (inner * t + heads * t * n); its query and output maps beside.
  const double cross = 4 * 2 * 2 * 4 * 6 + 6 * (2 * 4 * (6 * 2 + 3 * 2 * 8));
  const double decoder = 4 * 2 * (4 * 4 * 6 + 3 * 4 * 5) + 14 * 2 * 2 * 6 / 2 + cross;
  EXPECT_EQ(units[2].cost, decoder + 2 * 4) << "with the embedding";
  EXPECT_EQ(units[3].cost, decoder + 4 * 2 * 4 * 10) << "with the head";
}

// From some length on the keys and values of all encoder tokens are made, once for all targets.
TEST(T5Cost, CrossAttentionCountsAsItsCheaperPath) {
  T5Config config = tiny();
  config.heads = 2;
  config.d_kv = 8;
  const auto cross = [&](double target) {
    const double self = 4 * target * (4 * 4 * 16 + 3 * 4 * 5) + 14 * target * target * 16 / 2;
    const double queries_and_output = 4 * target * 2 * 4 * 16;
    return t5_cost_units(config, {64, target})[2].cost - target * 4 - self - queries_and_output;
  };
  EXPECT_EQ(cross(1), 6 * (2 * 4 * (16 * 1 + 2 * 1 * 64)));
  // 6 * 2 * min(16 * (64 * 4 + 64 * 64), 4 * (16 * 64 + 2 * 64 * 64)), and with d = 4 < d_kv = 8 the states
  // win.
  EXPECT_EQ(cross(64), 6 * (2 * 4 * (16 * 64 + 2 * 64 * 64)));
  config.d_kv = 2;
  const std::vector<CostUnit> units = t5_cost_units(config, {64, 64});
  const double self = 4 * 64 * (4 * 4 * 4 + 3 * 4 * 5) + 14 * 64 * 64 * 4 / 2;
  EXPECT_EQ(units[2].cost, 64 * 4 + self + 4 * 64 * 2 * 4 * 4 + 6 * (2 * 4 * (64 * 4 + 64 * 64)));
}

// Targets of a few tokens: the whole decoder is on the last stage, and encoder states travel nowhere but to
// it.
TEST(T5Cost, ShortTargetsPutTheDecoderOnTheLastStage) {
  const T5Config config = t5_preset("xxl");
  const StagePlan plan = balanced_plan(t5_cost_units(config, {512, 4}), 4);
  for (int s = 0; s < 3; ++s)
    EXPECT_EQ(t5_stage_range(config, units_of(plan, s)).decoder_end, 0) << plan.text();
  const T5StageRange last = t5_stage_range(config, units_of(plan, 3));
  EXPECT_EQ(last.decoder_begin, 0);
  EXPECT_EQ(last.decoder_end, config.decoder_layers);
  EXPECT_LT(last.encoder_begin, config.encoder_layers) << plan.text();
  EXPECT_LT(plan.imbalance(), 1.2) << plan.text();
}

TEST(T5Cost, RangesOfTheStagesMakeTheModel) {
  T5Config config = tiny();
  config.encoder_layers = 5;
  config.decoder_layers = 3;
  const auto units = t5_cost_units(config, {20, 20});
  for (int stages = 1; stages <= 8; ++stages) {
    const StagePlan plan = balanced_plan(units, stages);
    std::int64_t encoder = 0, decoder = 0;
    for (int s = 0; s < stages; ++s) {
      const T5StageRange range = t5_stage_range(config, units_of(plan, s));
      EXPECT_EQ(range.encoder_begin, encoder);
      EXPECT_EQ(range.decoder_begin, decoder);
      EXPECT_GT(range.encoder_end - range.encoder_begin + range.decoder_end - range.decoder_begin, 0);
      encoder = range.encoder_end;
      decoder = range.decoder_end;
    }
    EXPECT_EQ(encoder, 5);
    EXPECT_EQ(decoder, 3);
  }
  EXPECT_THROW(balanced_plan(units, 9), ConfigError);
  EXPECT_THROW(t5_cost_units(config, {20, 0}), ConfigError);
}

}  // namespace
}  // namespace trimtab
