// SPDX-License-Identifier: Apache-2.0
#include "experiments/label_ranking.h"

#include <gmock/gmock.h>

#include "data/tiny_vocabulary.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<TokenId>;

TEST(LabelRanking, ARowForEachExampleAndLabelWithoutItsEnd) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {.max_input = 32, .max_target = 8});
  const LabelRanking ranking(recipe, {"yes", "no"});
  RecipeCounts counts;
  const ExampleStore store = ranking.rows({{.input = "the ship"}, {.input = "a wind"}}, counts);
  ASSERT_EQ(store.size(), 4u);
  EXPECT_EQ(counts.examples, 2u);
  const auto row = [](const auto& ids, std::size_t at) {
    return Ids(ids.row(at).begin(), ids.row(at).end());
  };
  EXPECT_EQ(row(store.inputs, 0), row(store.inputs, 1));
  EXPECT_EQ(row(store.inputs, 2), recipe.encode_input("a wind", counts));
  EXPECT_EQ(row(store.targets, 0), t->encode("yes"));
  EXPECT_EQ(row(store.targets, 3), t->encode("no"));
}

TEST(LabelRanking, TheLikeliestWinsAndTheFirstOfEquals) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {.max_input = 32, .max_target = 8});
  const LabelRanking ranking(recipe, {"yes", "no"});
  EXPECT_THAT(ranking.best({-3.0f, -2.5f, -1.0f, -1.0f, -0.5f, -9.0f}), ElementsAre("no", "yes", "yes"));
  EXPECT_THAT(row_sums({-1.0f, -2.0f, -4.0f}, RowLayout({2, 0, 1})), ElementsAre(-3.0f, 0.0f, -4.0f));
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
