// SPDX-License-Identifier: Apache-2.0
#include "parallel/candidate_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::ElementsAre;

constexpr std::int64_t kFirst = CandidateStep::kFirst;

TEST(CandidateWalk, WhatCandidatesBeginWithIsReadOnce) {
  const CandidateWalk walk({{4, 7}, {5}, {4, 2, 9}, {6, 7}, {4, 2, 1}});
  EXPECT_THAT(walk.steps(), ElementsAre(CandidateStep{0, kFirst, {4, 5, 6}},  // all
                                        CandidateStep{0, 4, {7, 2}},          // 4
                                        CandidateStep{0, 2, {9, 1}},          // 4 2
                                        CandidateStep{2, 6, {7}}));           // 6, without 4 and 2
  EXPECT_EQ(walk.depth(), 3);
  EXPECT_EQ(walk.asked(), 8);
  EXPECT_EQ(walk.candidates(), 5);
}

TEST(CandidateWalk, ALikelihoodIsTheSumOfItsTokens) {
  const CandidateWalk walk({{4, 7}, {5}, {4, 2, 9}, {6, 7}, {4, 2, 1}});
  const std::vector<float> answers = {1, 2, 4, 8, 16, 32, 64, 128};
  EXPECT_THAT(walk.sums(answers), ElementsAre(1 + 8, 2, 1 + 16 + 32, 4 + 128, 1 + 16 + 64));
}

TEST(CandidateWalk, OneTokenEachIsOneStep) {
  const CandidateWalk walk({{3}, {1}, {2}});
  EXPECT_THAT(walk.steps(), ElementsAre(CandidateStep{0, kFirst, {3, 1, 2}}));
  EXPECT_THAT(walk.sums(std::vector<float>{-1, -2, -3}), ElementsAre(-1, -2, -3));
}

// The shorter one is as likely as their beginning.
TEST(CandidateWalk, CandidatesMayBeginWithOthers) {
  const CandidateWalk walk({{3}, {3, 1}, {3, 1}});
  EXPECT_THAT(walk.steps(), ElementsAre(CandidateStep{0, kFirst, {3}}, CandidateStep{0, 3, {1}}));
  EXPECT_THAT(walk.sums(std::vector<float>{-1, -2}), ElementsAre(-1, -3, -3));
}

TEST(CandidateWalk, NothingToAskIsRefused) {
  using Candidates = std::vector<std::vector<std::int32_t>>;
  EXPECT_THROW(CandidateWalk{Candidates()}, Error);
  EXPECT_THROW(CandidateWalk{Candidates(1)}, Error);
}

}  // namespace
}  // namespace trimtab
