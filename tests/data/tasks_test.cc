// SPDX-License-Identifier: Apache-2.0
//
// The tasks of anybody's own files and of WordNet on small fixtures.
#include <gmock/gmock.h>

#include <map>
#include <set>

#include "data/task.h"
#include "data/task_maker.h"
#include "data/tasks/jsonl.h"
#include "data/tasks/wordnet.h"
#include "data/temp_folder.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(JsonlTask, ClassesAndFreeText) {
  const TempFolder folder;
  const std::string path = folder.write(
      "rows.jsonl",
      "{\"q\": \"is it?\", \"a\": true, \"g\": 4}\n{\"q\": \"was it?\", \"a\": false, \"g\": 4}\n");
  const auto task =
      make_jsonl({.train = path, .input = "q", .target = "a", .group = "g", .labels = {"False", "True"}});
  EXPECT_THAT(task->splits(), ElementsAre("train"));
  const auto rows = task->load("train");
  EXPECT_THAT(targets_of(rows), ElementsAre("True", "False"));
  EXPECT_EQ(rows[1].group, "4");
  EXPECT_EQ(rows[1].id, "train/1");
  const Scores scores = task->score({"True", "maybe"}, rows);
  EXPECT_EQ(scores.main, "accuracy");
  EXPECT_DOUBLE_EQ(scores.main_value(), 50);
  EXPECT_EQ(scores.invalid, 1u);
  EXPECT_THAT(message_of<Error>([&] { scores.value("f1"); }), HasSubstr("no metric 'f1'; known: accuracy"));

  const std::string free =
      folder.write("free.jsonl", "{\"input\": \"where?\", \"target\": [\"Oslo\", \"Norway\"]}\n");
  const auto open = make_jsonl({.validation = free});
  const auto answers = open->load("validation");
  EXPECT_EQ(answers[0].target, "Oslo");
  EXPECT_THAT(answers[0].references, ElementsAre("Norway"));
  EXPECT_DOUBLE_EQ(open->score({"the norway!"}, answers).value("exact_match"), 100);
  EXPECT_DOUBLE_EQ(open->score({"Bergen"}, answers).main_value(), 0);
  EXPECT_THAT(message_of<ConfigError>([&] { open->load("train"); }), HasSubstr("has no split 'train'"));
}

TEST(JsonlTask, Errors) {
  EXPECT_THAT(message_of<ConfigError>([] { make_jsonl({}); }), HasSubstr("no file is given"));
  EXPECT_THAT(message_of<ConfigError>([] {
                make_jsonl({.train = "x", .labels = {"a", "a"}});
              }),
              HasSubstr("listed twice"));
  EXPECT_THAT(message_of<ConfigError>([] { make_jsonl({.train = "x", .labels = {"a"}}); }),
              HasSubstr("one label"));
  const TempFolder folder;
  const std::string path = folder.write("rows.jsonl", "{\"input\": \"x\", \"target\": \"c\"}\n");
  const auto task = make_jsonl({.train = path, .labels = {"a", "b"}});
  EXPECT_THAT(message_of<Error>([&] { task->load("train"); }), HasSubstr(path + ":1: unknown label 'c'"));
}

// Synsets of two classes (05 animal, 13 food) and of one that is not asked for (18 person).
std::string small_wordnet() {
  std::string text = "  1 This software and database is being provided to you\n";
  for (int i = 0; i < 400; ++i) {
    const int offset = 10000000 + i;
    const char* number = i % 4 == 0 ? "05" : i % 4 == 3 ? "18" : "13";
    text += std::to_string(offset) + " " + number + " n 02 big_thing" + std::to_string(i) +
            " 0 other 1 000 | thing number " + std::to_string(i) + "; of a kind; \"an example of " +
            std::to_string(i) + "\"; \"more\"  \n";
  }
  // The same gloss in another synset and another class must not be used again.
  text += "10000900 13 n 01 twin 0 000 | thing number 0; of a kind  \n";
  return text;
}

TEST(Wordnet, GlossWithoutExamples) {
  const TempFolder folder;
  folder.write("data.noun", small_wordnet());
  LexnameOptions options{.path = folder.path(), .classes = {"animal", "food"}};
  const auto rows = make_lexname(options)->load("train");
  options.words = true;
  const auto with_words = make_lexname(options)->load("train");
  ASSERT_EQ(rows.size(), with_words.size());
  const std::string number = std::to_string(std::stoi(rows[0].id.substr(5)) - 10000000);
  EXPECT_EQ(rows[0].input, "definition: thing number " + number + "; of a kind");
  EXPECT_EQ(with_words[0].input, rows[0].input + " word: big thing" + number);
  expect_perfect(*make_lexname(options), make_lexname(options)->load("validation"));
}

TEST(Wordnet, BalancedSplitsThatNeverShareAGloss) {
  const TempFolder folder;
  folder.write("data.noun", small_wordnet());
  LexnameOptions options{.path = folder.path(), .classes = {"animal", "food"}};
  const auto task = make_lexname(options);
  std::map<std::string, std::string> split_of_gloss;
  std::size_t balanced = 0;
  for (const std::string& split : task->splits()) {
    const auto rows = task->load(split);
    const auto targets = targets_of(rows);
    EXPECT_EQ(std::count(targets.begin(), targets.end(), "animal"),
              std::count(targets.begin(), targets.end(), "food"));
    for (const TextExample& row : rows)
      EXPECT_TRUE(split_of_gloss.emplace(row.input, split).second) << row.input;
    balanced += rows.size();
  }
  options.balanced = false;
  std::size_t all = 0;
  for (const std::string& split : task->splits()) {
    for (const TextExample& row : make_lexname(options)->load(split)) {
      const auto found = split_of_gloss.find(row.input);
      EXPECT_TRUE(found == split_of_gloss.end() || found->second == split);
      ++all;
    }
  }
  EXPECT_EQ(all, 300u);  // 100 animals and 200 foods, the twin left out
  EXPECT_LE(balanced, 200u);
  EXPECT_GT(balanced, 180u);
}

TEST(Wordnet, LimitsTakeTheSameRowsFromTheFront) {
  const TempFolder folder;
  folder.write("data.noun", small_wordnet());
  LexnameOptions options{.path = folder.path(), .classes = {"animal", "food"}, .balanced = false};
  const auto all = make_lexname(options)->load("train");
  options.max_train = 31;
  const auto some = make_lexname(options)->load("train");
  ASSERT_EQ(some.size(), 31u);
  for (std::size_t i = 0; i < some.size(); ++i) EXPECT_EQ(some[i].id, all[i].id);
  options.balanced = true;
  EXPECT_EQ(make_lexname(options)->load("train").size(), 30u);
  options.max_train = 1;
  EXPECT_THAT(message_of<ConfigError>([&] { make_lexname(options)->load("train"); }),
              HasSubstr("max_train = 1 is less than one row for each of 2 classes"));
}

TEST(Wordnet, Errors) {
  const TempFolder folder;
  EXPECT_THAT(message_of<ConfigError>([&] { make_lexname({.path = folder.path()})->load("train"); }),
              AllOf(HasSubstr(folder.file("data.noun")), HasSubstr("wordnet-base")));
  EXPECT_THAT(message_of<ConfigError>([] { make_lexname({.part = "adverb"}); }), HasSubstr("noun or verb"));
  EXPECT_THAT(message_of<ConfigError>([] {
                make_lexname({.classes = {"animal", "fod"}});
              }),
              AllOf(HasSubstr("unknown class 'fod'"), HasSubstr("did you mean 'food'?")));
  EXPECT_THAT(message_of<ConfigError>([] {
                make_lexname({.classes = {"food", "food"}});
              }),
              HasSubstr("listed twice"));
  EXPECT_THAT(message_of<ConfigError>([] { make_lexname({.test_percent = 0}); }), HasSubstr("10 and 0"));
  folder.write("data.noun", "00001740 03 n 01 entity 0 003 without a gloss\n");
  EXPECT_THAT(message_of<Error>([&] { make_lexname({.path = folder.path()})->load("train"); }),
              HasSubstr("data.noun:1: no WordNet data line"));
  folder.write("data.noun", small_wordnet());
  EXPECT_THAT(message_of<Error>([&] {
                make_lexname({.path = folder.path(), .classes = {"animal", "plant"}})->load("train");
              }),
              HasSubstr("has no row of class 'plant'"));
}

}  // namespace
}  // namespace trimtab
