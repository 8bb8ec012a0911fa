// SPDX-License-Identifier: Apache-2.0
#include "experiments/label_ranking.h"

#include <gmock/gmock.h>

#include "data/tiny_vocabulary.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LabelRanking, AsksForTheTokensOfEachLabelWithoutItsEnd) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {.max_input = 32, .max_target = 8});
  const LabelRanking ranking(recipe, {"yes", "no"});
  EXPECT_EQ(ranking.labels(), 2u);
  const std::vector<std::vector<TokenId>> labels = {t->encode("yes"), t->encode("no")};
  EXPECT_EQ(ranking.walk().steps(), CandidateWalk(labels).steps());
}

TEST(LabelRanking, TheLikeliestWinsAndTheFirstOfEquals) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {.max_input = 32, .max_target = 8});
  const LabelRanking ranking(recipe, {"yes", "no"});
  EXPECT_THAT(ranking.best({-3.0f, -2.5f, -1.0f, -1.0f, -0.5f, -9.0f}), ElementsAre("no", "yes", "yes"));
}

TEST(LabelRanking, WhatCannotBeRankedIsRefused) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {.max_input = 32, .max_target = 16});
  EXPECT_THAT(message_of<ConfigError>([&] { LabelRanking(recipe, {}); }),
              HasSubstr("no labels to choose from"));
  EXPECT_THAT(message_of<ConfigError>([&] {
                LabelRanking(recipe, {"the ship turns", "the ship"});
              }),
              HasSubstr("'the ship turns' begins with 'the ship'"));
}

}  // namespace
}  // namespace trimtab
