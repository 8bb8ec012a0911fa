// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "data/task_maker.h"
#include "data/temp_folder.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string rows(const std::vector<std::string>& scores) {
  std::string text = "index\tsentence1\tsentence2\tscore\n";
  for (const std::string& score : scores)
    text += "0\tA plane takes off.\tAn air plane takes off.\t" + score + "\n";
  return text;
}

// Rounded by numpy in float32: round(x * 5) / 5, "%.1f".
TEST(Stsb, TextAndRoundedScores) {
  const TempFolder folder;
  folder.write("train.tsv",
               rows({"3.3", "2.5", "0.5", "1.9", "4.7", "5.000", "0", "3.25", "4.909", "0.1", "2.1"}));
  const auto task = task_of("glue/stsb", "path: " + folder.path());
  const auto train = task->load("train");
  EXPECT_EQ(train[0].input, "sentence1: A plane takes off. sentence2: An air plane takes off.");
  EXPECT_THAT(targets_of(train),
              ElementsAre("3.2", "2.4", "0.4", "2.0", "4.8", "5.0", "0.0", "3.2", "5.0", "0.0", "2.0"));
  expect_perfect(*task, train);
}

// scipy.stats.pearsonr and spearmanr of [1, 2.4, 3, -1, 5, 3, 0.2] and the targets; what is no number is -1.
TEST(Stsb, Scores) {
  const TempFolder folder;
  folder.write("dev.tsv", rows({"0.8", "2.6", "3.0", "4.4", "4.8", "2.6", "0.0"}));
  const auto task = task_of("glue/stsb", "path: " + folder.path());
  const Scores scores =
      task->score({"1.0", " 2.4", "3", "high", "5.0", "3.0", "0.2"}, task->load("validation"));
  EXPECT_NEAR(scores.value("pearson"), 38.31841552150732, 1e-9);
  EXPECT_NEAR(scores.value("spearman"), 42.727272727272734, 1e-9);
  EXPECT_NEAR(scores.main_value(), (38.31841552150732 + 42.727272727272734) / 2, 1e-9);
  EXPECT_EQ(scores.invalid, 1u);
}

TEST(Stsb, SubmissionAndErrors) {
  const TempFolder folder;
  folder.write("test.tsv", "index\tsentence1\tsentence2\n0\ta\tb\n1\tc\td\n");
  folder.write("dev.tsv", rows({"5.1"}));
  const auto task = task_of("glue/stsb", "path: " + folder.path());
  const auto test = task->load("test");
  const Submission file = task->submissions({"3.8", "?"}, test).front();
  EXPECT_THAT(file.lines, ElementsAre("index\tprediction", "0\t3.800", "1\t0.000"));
  EXPECT_EQ(file.invalid, 1u);
  EXPECT_THAT(message_of<Error>([&] { task->score({"1", "2"}, test); }), HasSubstr("has no score"));
  EXPECT_THAT(message_of<Error>([&] { task->load("validation"); }),
              AllOf(HasSubstr("dev.tsv:2"), HasSubstr("from 0 to 5, but is '5.1'")));
}

}  // namespace
}  // namespace trimtab
