// SPDX-License-Identifier: Apache-2.0
#include "experiments/rank_traffic.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trimtab {
namespace {

RankTraffic sent(std::int64_t pipeline_bytes, std::int64_t gradient_bytes, std::int64_t between_bytes) {
  RankTraffic out;
  out.steps.counts[static_cast<std::size_t>(Traffic::kPipeline)] = {4, 4, pipeline_bytes};
  out.steps.counts[static_cast<std::size_t>(Traffic::kGradient)] = {2, 2, gradient_bytes};
  out.between_steps = {6, 6, between_bytes};
  return out;
}

TEST(RankTraffic, LineNamesTheRankThatSendsMostForEachPurpose) {
  EXPECT_EQ(traffic_line({sent(100, 80, 20), sent(300, 8, 20)}, 2),
            "pipeline 2 calls, 150 bytes (rank 1); gradient 1 calls, 40 bytes (rank 0); "
            "between steps 3 calls, 10 bytes (rank 0)");
}

TEST(RankTraffic, NothingIsSaidOfWhatSendsNothing) {
  EXPECT_EQ(traffic_line({RankTraffic()}, 2), "");
  EXPECT_EQ(traffic_line({sent(100, 80, 20)}, 0), "") << "no step was made";
  EXPECT_EQ(traffic_line({}, 2), "") << "a record of before it was kept";
}

TEST(RankTraffic, SurvivesTheRecord) {
  const RankTraffic read = rank_traffic_from(to_json(sent(100, 80, 20)));
  EXPECT_EQ(read.steps[Traffic::kPipeline], (TrafficCount{4, 4, 100}));
  EXPECT_EQ(read.steps[Traffic::kGradient], (TrafficCount{2, 2, 80}));
  EXPECT_EQ(read.steps[Traffic::kTensor], TrafficCount());
  EXPECT_EQ(read.between_steps, (TrafficCount{6, 6, 20}));
}

}  // namespace
}  // namespace trimtab
