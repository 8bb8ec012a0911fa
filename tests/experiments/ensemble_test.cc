// SPDX-License-Identifier: Apache-2.0
#include "experiments/ensemble.h"

#include <gmock/gmock.h>

#include "data/tasks/jsonl.h"
#include "data/temp_folder.h"
#include "data/tiny_vocabulary.h"
#include "experiments/served_prompts.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Evaluation member(std::vector<std::string> predictions) {
  Evaluation out;
  out.predictions = std::move(predictions);
  return out;
}

TEST(MajorityVote, MostVotesWinAndOfEqualsTheEarlierMember) {
  EXPECT_THAT(majority_vote(
                  {member({"a", "a", "a", ""}), member({"b", "b", "b", "x"}), member({"b", "a", "c", "x"})}),
              ElementsAre("b", "a", "a", "x"));
  // Two answers of two votes each: the one whose first giver comes first.
  EXPECT_THAT(majority_vote({member({"c"}), member({"b"}), member({"a"}), member({"a"}), member({"b"})}),
              ElementsAre("b"));
  EXPECT_THAT(majority_vote({member({"x", "y"})}), ElementsAre("x", "y"));
}

// Scores worked out by hand: members have 3, 3 and 2 of 4 right, their votes 4.
TEST(ScoreEnsemble, AverageBestAndVotes) {
  const TinyTokenizer tokenizer;
  const TextRecipe recipe(*tokenizer, {.max_input = 32, .max_target = 8});
  const auto task = make_jsonl({.train = "t", .labels = {"no", "yes"}});
  std::vector<TextExample> examples;
  for (const char* target : {"yes", "no", "yes", "no"})
    examples.push_back({.input = "the ship", .target = target, .id = "x"});
  RecipeCounts counts;
  TokenisedExamples rows{recipe.encode(examples, counts), counts};
  const Evaluator evaluator(*task, recipe, examples, rows, {.lane_positions = {1, 2, 3}});
  std::vector<Evaluation> members = {member({"yes", "no", "yes", "yes"}), member({"yes", "no", "what", "no"}),
                                     member({"no", "yes", "yes", "no"})};
  for (Evaluation& one : members) one.scores = evaluator.scores(one.predictions);
  EXPECT_EQ(members[1].scores.invalid, 1);
  const EnsembleScores scores = score_ensemble(evaluator, members);
  EXPECT_THAT(scores.predictions, ElementsAre("yes", "no", "yes", "no"));
  EXPECT_EQ(scores.ensemble.main_value(), 100);
  EXPECT_EQ(scores.ensemble.invalid, 0);
  EXPECT_NEAR(scores.average.main_value(), (75.0 + 75.0 + 50.0) / 3, 1e-12);
  EXPECT_EQ(scores.best, 0u) << "the first of equals";
  EXPECT_EQ(scores.agreement, 0);
  members[2] = members[1] = members[0];
  EXPECT_EQ(score_ensemble(evaluator, members).agreement, 100);
}

TEST(Questions, EveryExampleThroughEveryLane) {
  std::vector<std::pair<std::size_t, int>> found;
  for (const Question& question : through_every_lane(2, 3))
    found.emplace_back(question.example, question.lane);
  EXPECT_THAT(found, ElementsAre(std::pair{0, 0}, std::pair{0, 1}, std::pair{0, 2}, std::pair{1, 0},
                                 std::pair{1, 1}, std::pair{1, 2}));
}

TEST(PromptFiles, NamesPathsAndFolders) {
  const TempFolder folder;
  const std::vector<PromptFile> files =
      prompt_files({"rte=a.h5", "runs/seed=1/best.h5", "x=y=z.h5", "run=" + folder.path()});
  EXPECT_EQ(files[0].name, "rte");
  EXPECT_EQ(files[0].path, "a.h5");
  EXPECT_EQ(files[1].name, "runs/seed=1/best.h5");
  EXPECT_EQ(files[1].path, "runs/seed=1/best.h5");
  EXPECT_EQ(files[2].path, "y=z.h5");
  EXPECT_EQ(files[3].path, folder.path() + "/best.h5");
  EXPECT_THAT(message_of<ConfigError>([] { prompt_files({"=a.h5"}); }), HasSubstr("expected NAME=PATH"));
  EXPECT_THAT(message_of<ConfigError>([] { prompt_files({"a="}); }), HasSubstr("expected NAME=PATH"));
  EXPECT_THAT(message_of<ConfigError>([] {
                prompt_files({"a=1.h5", "a=2.h5"});
              }),
              AllOf(HasSubstr("a=2.h5"), HasSubstr("of the name 'a' already")));
}

}  // namespace
}  // namespace trimtab
