// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/squad.h"

#include <gmock/gmock.h>

#include "data/packed.h"
#include "data/task_maker.h"
#include "data/temp_folder.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kSquad = R"json({"version": "1.1", "data": [
  {"title": "France", "paragraphs": [
    {"context": "The capital of France is Paris", "qas": [
      {"id": "a1", "question": "What is the capital of France?",
       "answers": [{"text": "Paris", "answer_start": 25}, {"text": "the city", "answer_start": 0}]}]},
    {"context": "He (1845-1986) was strong.", "qas": [
      {"id": "a2", "question": "\"When\"?", "answers": [{"text": "(1845-1986)", "answer_start": 3}]}]}]}]})json";

// The first one is the T5 code's own test.
TEST(Squad, PunctuationIsSetApart) {
  const TempFolder folder;
  folder.write("train-v1.1.json", kSquad);
  folder.write("dev-v1.1.json.gz", gzip(kSquad));
  const auto task = task_of("squad/v1.1", "path: " + folder.path());
  const auto rows = task->load("train");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].input,
            "question: What is the capital of France ? context: The capital of France is Paris");
  EXPECT_EQ(rows[0].target, "Paris");
  EXPECT_THAT(rows[0].references, ElementsAre("the city"));
  EXPECT_EQ(rows[0].id, "train/a1");
  EXPECT_EQ(rows[1].input, "question: \" When \" ? context: He ( 1845 - 1986 ) was strong . ");
  EXPECT_EQ(rows[1].target, " ( 1845 - 1986 ) ");
  expect_perfect(*task, task->load("validation"));
  EXPECT_EQ(pad_punctuation("a\t\n b_c"), "a b _ c");
  EXPECT_EQ(pad_punctuation("caf\xC3\xA9\xE2\x80\x93x"), "caf\xC3\xA9\xE2\x80\x93x");  // only ASCII marks
}

TEST(Squad, ScoresTheBestOfSeveralAnswersAndSelectsByF1) {
  const TempFolder folder;
  folder.write("dev-v1.1.json", kSquad);
  const auto task = task_of("squad/v1.1", "path: " + folder.path());
  const Scores scores = task->score({"City.", "1845"}, task->load("validation"));
  EXPECT_DOUBLE_EQ(scores.value("exact_match"), 50);
  EXPECT_NEAR(scores.value("f1"), (100 + 200.0 / 3) / 2, 1e-9);  // precision 1, recall 1/2
  EXPECT_EQ(scores.main, "f1");
  EXPECT_THAT(message_of<ConfigError>([&] { task->submissions({}, {}); }), HasSubstr("no benchmark takes"));
}

TEST(Squad, Errors) {
  const TempFolder folder;
  const auto task = task_of("squad/v1.1", "path: " + folder.path());
  const auto error = [&](const std::string& text) {
    folder.write("dev-v1.1.json", text);
    return message_of<Error>([&] { task->load("validation"); });
  };
  EXPECT_THAT(error("{\"data\": [{\"par"), HasSubstr("dev-v1.1.json: no JSON"));
  EXPECT_THAT(error("{\"data\": []}"), HasSubstr("has no example"));
  EXPECT_THAT(error("{\"version\": 2}"), HasSubstr("field 'data' is missing"));
  EXPECT_THAT(error(""), HasSubstr("the file is empty"));
  EXPECT_THAT(error(R"({"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "q7", "question": "?", )"
                    R"("answers": []}]}]}]})"),
              HasSubstr("question 'q7' has no answer"));
}

TEST(SquadShifts, AValidationSplit) {
  const TempFolder folder;
  folder.write("nyt_v1.0.json", kSquad);
  const auto task = task_of("squad/shifts", "path: " + folder.path() + "\nset: nyt");
  EXPECT_THAT(task->splits(), ElementsAre("validation"));
  EXPECT_EQ(task->load("validation").size(), 2u);
  EXPECT_THAT(message_of<ConfigError>([&] { task_of("squad/shifts", "path: x\nset: times"); }),
              HasSubstr("nyt"));
}

TEST(Mrqa, EveryQuestionBehindTheHeader) {
  const TempFolder folder;
  folder.write(
      "dev/BioASQ.jsonl.gz",
      gzip(
          "{\"header\": {\"dataset\": \"BioASQ\", \"split\": \"dev\"}}\n"
          "{\"id\": \"\", \"context\": \"[PAR] Aspirin\\nhelps.\", \"qas\": [{\"qid\": \"f1\", \"question\": "
          "\"What helps?\", \"answers\": [\"Aspirin\", \"ASS\"], \"detected_answers\": [{\"text\": "
          "\"Aspirin\"}]}, {\"qid\": \"f2\", \"question\": \"Who\", \"answers\": [\"x\"]}]}\n"));
  const auto task = task_of("mrqa", "path: " + folder.path() + "\nset: BioASQ");
  const auto rows = task->load("validation");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].input, "question: What helps ? context: [ PAR ] Aspirin helps . ");
  EXPECT_EQ(rows[0].target, "Aspirin");
  EXPECT_THAT(rows[0].references, ElementsAre("ASS"));
  EXPECT_EQ(rows[1].id, "validation/f2");
  expect_perfect(*task, rows);
  folder.write("RACE.jsonl",
               "{\"header\": {}}\n{\"context\": \"c\", \"qas\": [{\"qid\": \"1\", \"question\": \"q\", "
               "\"answers\": []}]}\n");
  EXPECT_THAT(message_of<Error>(
                  [&] { task_of("mrqa", "path: " + folder.path() + "\nset: RACE")->load("validation"); }),
              HasSubstr("RACE.jsonl:2: field 'answers' is an empty list"));
}

}  // namespace
}  // namespace trimtab
