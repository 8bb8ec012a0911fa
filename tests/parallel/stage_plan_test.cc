// SPDX-License-Identifier: Apache-2.0
#include "parallel/stage_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

using testing::HasSubstr;

std::vector<CostUnit> units(const std::vector<double>& costs) {
  std::vector<CostUnit> out;
  for (std::size_t i = 0; i < costs.size(); ++i) out.push_back({fmt::format("layer {}", i), costs[i]});
  return out;
}

std::vector<int> sizes(const StagePlan& plan) {
  std::vector<int> out;
  for (int s = 0; s < plan.stages(); ++s) out.push_back(plan.end(s) - plan.begin(s));
  return out;
}

double dearest(const StagePlan& plan) {
  double most = 0;
  for (int s = 0; s < plan.stages(); ++s) most = std::max(most, plan.cost(s));
  return most;
}

// Tries every cut.
double best_of_all(const std::vector<double>& costs, std::size_t begin, int stages) {
  double best = std::numeric_limits<double>::infinity(), sum = 0;
  if (stages == 1) {
    for (std::size_t i = begin; i < costs.size(); ++i) sum += costs[i];
    return begin < costs.size() ? sum : best;
  }
  for (std::size_t i = begin; i < costs.size(); ++i) {
    sum += costs[i];
    best = std::min(best, std::max(sum, best_of_all(costs, i + 1, stages - 1)));
  }
  return best;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no ConfigError";
}

TEST(StagePlan, EqualLayersAreCutEvenly) {
  EXPECT_EQ(sizes(balanced_plan(units(std::vector<double>(12, 1.0)), 4)), (std::vector<int>{3, 3, 3, 3}));
  EXPECT_EQ(sizes(balanced_plan(units({1, 1, 1, 1, 1}), 5)), (std::vector<int>{1, 1, 1, 1, 1}));
  EXPECT_EQ(sizes(balanced_plan(units({1, 1, 1}), 1)), (std::vector<int>{3}));
}

TEST(StagePlan, CheapLayersGoTogether) {
  EXPECT_EQ(sizes(balanced_plan(units({8, 8, 8, 8, 1, 1, 1, 1}), 2)), (std::vector<int>{2, 6}));
  EXPECT_EQ(sizes(balanced_plan(units({1, 1, 1, 9}), 2)), (std::vector<int>{3, 1}));
}

// Among the cuts whose dearest stage is as cheap, the rest is even, too.
TEST(StagePlan, TheRestIsEvenToo) {
  EXPECT_EQ(sizes(balanced_plan(units({9, 1, 1, 1, 1, 1, 1}), 3)), (std::vector<int>{1, 3, 3}));
}

TEST(StagePlan, IsOptimal) {
  const RandomStream random(5, Purpose::kTest);
  std::uint64_t draw = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> costs;
    const int n = 1 + static_cast<int>(random.bounded(draw++, 8));
    for (int i = 0; i < n; ++i) costs.push_back(static_cast<double>(random.bounded(draw++, 10)));
    for (int stages = 1; stages <= n; ++stages)
      ASSERT_EQ(dearest(balanced_plan(units(costs), stages)), best_of_all(costs, 0, stages));
  }
}

TEST(StagePlan, RefusesMoreStagesThanLayers) {
  EXPECT_EQ(message_of([] {
              balanced_plan(units({1, 1, 1}), 4);
            }),
            "mesh.pipe: 4 stages for a model of 3 layers; a stage holds at least one layer: set mesh.pipe to "
            "at most "
            "3, and use mesh.tensor or mesh.data for the other ranks");
  EXPECT_THAT(message_of([] { balanced_plan(units({1, 1, 1}), 0); }), HasSubstr("0 stages"));
  EXPECT_THAT(message_of([] {
                balanced_plan(units({1, -1, 1}), 2);
              }),
              HasSubstr("the cost of layer 1 is -1"));
}

TEST(StagePlan, TakesGivenSizes) {
  const StagePlan plan(units({1, 2, 3, 4}), {1, 3});
  EXPECT_EQ(plan.cost(1), 9.0);
  EXPECT_EQ(plan.imbalance(), 1.8);
  EXPECT_THAT(message_of([] { StagePlan(units({1, 2, 3}), {1, 1}); }), HasSubstr("1, 1 layers hold 2 of 3"));
  EXPECT_THAT(message_of([] { StagePlan(units({1, 2, 3}), {3, 0}); }), HasSubstr("stage 1 has 0 layers"));
}

TEST(StagePlan, IsReadable) {
  EXPECT_EQ(balanced_plan(units({3e9, 1e9, 1e9, 1e9}), 2).text(),
            "stage 0: layer 0              1 layer        3 Gop a row   50.0 %\n"
            "stage 1: layer 1 to layer 3   3 layers       3 Gop a row   50.0 %\n"
            "dearest stage: 1.00 of the mean\n");
}

}  // namespace
}  // namespace trimtab
