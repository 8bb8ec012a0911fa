// SPDX-License-Identifier: Apache-2.0
//
// The task wordnet/lexname on Debian's package wordnet-base (1:3.0-37): the splits are part of what results
// mean, so they must not move.
#include <gmock/gmock.h>

#include <map>

#include "data/tasks/wordnet.h"

namespace trimtab {
namespace {

TEST(WordnetDebian, SplitsAreWhereTheyWere) {
  const auto task = make_lexname({});
  std::map<std::string, std::string> split_of;
  const std::map<std::string, std::size_t> rows_of_a_class = {
      {"train", 1618}, {"validation", 201}, {"test", 196}};
  for (const auto& [split, wanted] : rows_of_a_class) {
    std::map<std::string, std::size_t> counts;
    for (const TextExample& row : task->load(split)) {
      ++counts[row.target];
      EXPECT_TRUE(split_of.emplace(row.input, split).second) << row.input;
      EXPECT_EQ(row.input.find('"'), std::string::npos) << row.input;
    }
    EXPECT_EQ(counts.size(), 10u);
    for (const auto& [label, count] : counts) EXPECT_EQ(count, wanted) << split << " " << label;
  }
  const TextExample first = task->load("train").front();
  EXPECT_EQ(first.input, "definition: large showy finches related to cardinals");
  EXPECT_EQ(first.target, "animal");
  EXPECT_EQ(first.id, "noun/01541618");
}

}  // namespace
}  // namespace trimtab
