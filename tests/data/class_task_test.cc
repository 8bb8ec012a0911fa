// SPDX-License-Identifier: Apache-2.0
//
// The classification tasks of GLUE and SuperGLUE on a record or two each: text as the T5 code makes it,
// perfect predictions score perfectly, submissions as the servers want them, bad records are named.
#include "data/class_task.h"

#include <gmock/gmock.h>

#include "data/task_maker.h"
#include "data/tasks/glue.h"
#include "data/tasks/superglue.h"
#include "data/temp_folder.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Case {
  std::string task;
  std::string file;  // of the validation split, or of the test split
  std::string split;
  std::string rows;  // one record of each class, in class order
  std::string first_input;
  std::vector<std::string> labels;
  std::string main;
  std::string submission;              // file
  std::vector<std::string> submitted;  // a line for each class
};

std::string premises(const std::string& first, const std::string& second, const std::string& third = "") {
  std::string rows;
  int idx = 0;
  for (const std::string& label : {first, second, third})
    if (!label.empty())
      rows += "{\"premise\": \"Heavy rain fell on Oslo.\", \"hypothesis\": \"Rain fell.\", \"label\": \"" +
              label + "\", \"idx\": " + std::to_string(idx++) + "}\n";
  return rows;
}

// The worked examples of the T5 code's preprocessors, and constructed ones by its rules.
const std::vector<Case>& cases() {
  const std::string rain = "hypothesis: Rain fell. premise: Heavy rain fell on Oslo.";
  static const std::vector<Case> all = {
      {"superglue/boolq",
       "val.jsonl",
       "validation",
       "{\"question\": \"did the pond freeze\", \"passage\": \"The pond froze in May.\", \"idx\": 4, "
       "\"label\": "
       "false}\n{\"question\": \"q\", \"passage\": \"p\", \"idx\": 5, \"label\": true}\n",
       "passage: The pond froze in May. question: did the pond freeze",
       {"False", "True"},
       "accuracy",
       "BoolQ.jsonl",
       {"{\"idx\":4,\"label\":\"false\"}", "{\"idx\":5,\"label\":\"true\"}"}},
      {"superglue/cb",
       "val.jsonl",
       "validation",
       premises("entailment", "contradiction", "neutral"),
       rain,
       {"entailment", "contradiction", "neutral"},
       "mean",
       "CB.jsonl",
       {"{\"idx\":0,\"label\":\"entailment\"}", "{\"idx\":1,\"label\":\"contradiction\"}",
        "{\"idx\":2,\"label\":\"neutral\"}"}},
      {"superglue/copa",
       "val.jsonl",
       "validation",
       "{\"premise\": \"The glass fell.\", \"choice1\": \"The glass broke.\", \"choice2\": \"The glass "
       "floated.\", \"question\": \"effect\", \"label\": 0, \"idx\": 0}\n{\"premise\": \"p\", \"choice1\": "
       "\"a\", "
       "\"choice2\": \"b\", \"question\": \"cause\", \"label\": 1, \"idx\": 1}\n",
       "choice1: The glass broke. choice2: The glass floated. premise: The glass fell. question: effect",
       {"choice1", "choice2"},
       "accuracy",
       "COPA.jsonl",
       {"{\"idx\":0,\"label\":0}", "{\"idx\":1,\"label\":1}"}},
      {"superglue/rte",
       "val.jsonl",
       "validation",
       premises("entailment", "not_entailment"),
       rain,
       {"entailment", "not_entailment"},
       "accuracy",
       "RTE.jsonl",
       {"{\"idx\":0,\"label\":\"entailment\"}", "{\"idx\":1,\"label\":\"not_entailment\"}"}},
      {"superglue/wic",
       "val.jsonl",
       "validation",
       "{\"word\": \"bank\", \"sentence1\": \"He sat on the bank.\", \"sentence2\": \"The bank lent "
       "money.\", "
       "\"idx\": 0, \"label\": false, \"start1\": 14, \"end1\": 18, \"start2\": 4, \"end2\": 8, \"version\": "
       "1.1}\n{\"word\": \"w\", \"sentence1\": \"a\", \"sentence2\": \"b\", \"idx\": 1, \"label\": true}\n",
       "sentence1: He sat on the bank. sentence2: The bank lent money. word: bank",
       {"False", "True"},
       "accuracy",
       "WiC.jsonl",
       {"{\"idx\":0,\"label\":\"false\"}", "{\"idx\":1,\"label\":\"true\"}"}},
      {"superglue/axb",
       "AX-b.jsonl",
       "test",
       "{\"idx\": \"0\", \"label\": \"entailment\", \"sentence1\": \"The cat sat.\", \"sentence2\": \"A cat "
       "sat.\", "
       "\"logic\": \"x\"}\n{\"idx\": \"1\", \"label\": \"not_entailment\", \"sentence1\": \"a\", "
       "\"sentence2\": "
       "\"b\"}\n",
       "hypothesis: A cat sat. premise: The cat sat.",
       {"entailment", "not_entailment"},
       "matthews",
       "AX-b.jsonl",
       {"{\"idx\":0,\"label\":\"entailment\"}", "{\"idx\":1,\"label\":\"not_entailment\"}"}},
      {"superglue/axg",
       "AX-g.jsonl",
       "test",
       premises("entailment", "not_entailment"),
       rain,
       {"entailment", "not_entailment"},
       "accuracy",
       "AX-g.jsonl",
       {"{\"idx\":0,\"label\":\"entailment\"}", "{\"idx\":1,\"label\":\"not_entailment\"}"}},
      {"glue/cola",
       "dev.tsv",
       "validation",
       "gj04\t0\t*\tThem ran.\ngj04\t1\t\tThey ran.\n",
       "sentence: Them ran.",
       {"unacceptable", "acceptable"},
       "matthews",
       "CoLA.tsv",
       {"0\t0", "1\t1"}},
      {"glue/sst2",
       "dev.tsv",
       "validation",
       "sentence\tlabel\nit 's \"dull\" \t0\nfun\t1\n",
       "sentence: it 's \"dull\" ",
       {"negative", "positive"},
       "accuracy",
       "SST-2.tsv",
       {"0\t0", "1\t1"}},
      {"glue/mrpc",
       "dev.tsv",
       "validation",
       "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tHe said \" no \" .\tYes "
       ".\n1\t3\t4\ta\tb\n",
       "sentence1: He said \" no \" . sentence2: Yes .",
       {"not_equivalent", "equivalent"},
       "mean",
       "MRPC.tsv",
       {"0\t0", "1\t1"}},
      {"glue/qqp",
       "dev.tsv",
       "validation",
       "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tIs tea hot?\tIs coffee hot?\t0\n"
       "4\t5\t6\ta\tb\t1\n",
       "question1: Is tea hot? question2: Is coffee hot?",
       {"not_duplicate", "duplicate"},
       "mean",
       "QQP.tsv",
       {"0\t0", "1\t1"}},
      {"glue/mnli",
       "dev_matched.tsv",
       "validation",
       "index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label\n0\tg\tIt rains.\tIt is "
       "wet.\tneutral\tentailment\n"
       "1\tg\ta\tb\tneutral\tneutral\n2\tg\ta\tb\tneutral\tcontradiction\n",
       "hypothesis: It is wet. premise: It rains.",
       {"entailment", "neutral", "contradiction"},
       "accuracy",
       "MNLI-m.tsv",
       {"0\tentailment", "1\tneutral", "2\tcontradiction"}},
      {"glue/mnli_mismatched",
       "dev_mismatched.tsv",
       "validation",
       "index\tsentence1\tsentence2\tgold_"
       "label\n0\tP\tH\tentailment\n1\ta\tb\tneutral\n2\ta\tb\tcontradiction\n",
       "hypothesis: H premise: P",
       {"entailment", "neutral", "contradiction"},
       "accuracy",
       "MNLI-mm.tsv",
       {"0\tentailment", "1\tneutral", "2\tcontradiction"}},
      {"glue/qnli",
       "dev.tsv",
       "validation",
       "index\tquestion\tsentence\tlabel\n0\tWho?\tBob.\tentailment\n1\ta\tb\tnot_entailment\n",
       "question: Who? sentence: Bob.",
       {"entailment", "not_entailment"},
       "accuracy",
       "QNLI.tsv",
       {"0\tentailment", "1\tnot_entailment"}},
      {"glue/rte",
       "dev.tsv",
       "validation",
       "index\tsentence1\tsentence2\tlabel\n0\tIt rains.\tIt is wet.\tentailment\n1\ta\tb\tnot_entailment\n",
       "sentence1: It rains. sentence2: It is wet.",
       {"entailment", "not_entailment"},
       "accuracy",
       "RTE.tsv",
       {"0\tentailment", "1\tnot_entailment"}},
      {"glue/wnli",
       "dev.tsv",
       "validation",
       "index\tsentence1\tsentence2\tlabel\n0\tThe fish ate it.\tThe fish ate bread.\t0\n1\ta\tb\t1\n",
       "sentence1: The fish ate it. sentence2: The fish ate bread.",
       {"not_entailment", "entailment"},
       "accuracy",
       "WNLI.tsv",
       {"0\t0", "1\t1"}}};
  return all;
}

TEST(ClassTask, EachIsTested) {
  std::vector<std::string> tested, known;
  for (const Case& c : cases()) tested.push_back(c.task);
  for (const auto* suite : {&glue_tasks(), &superglue_tasks()})
    for (const ClassTask& task : *suite) known.push_back(task.data.task);
  EXPECT_THAT(tested, ::testing::UnorderedElementsAreArray(known));
}

TEST(ClassTask, TextLabelsScoresAndSubmission) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.task);
    const TempFolder folder;
    folder.write(c.file, c.rows);
    const auto task = task_of(c.task, "path: " + folder.path());
    EXPECT_EQ(task->labels(), c.labels);
    const auto examples = task->load(c.split);
    EXPECT_EQ(examples.front().input, c.first_input);
    EXPECT_EQ(targets_of(examples), c.labels);
    expect_perfect(*task, examples);
    EXPECT_EQ(task->score(c.labels, examples).main, c.main);
    const Scores wrong = task->score(std::vector<std::string>(examples.size(), "none"), examples);
    EXPECT_EQ(wrong.invalid, examples.size());
    EXPECT_LE(wrong.main_value(), 0);
    const auto files = task->submissions(c.labels, examples);
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(files[0].file, c.submission);
    std::vector<std::string> lines = files[0].lines;
    if (c.submission.ends_with(".tsv")) {
      EXPECT_EQ(lines.front(), "index\tprediction");
      lines.erase(lines.begin());
    }
    EXPECT_EQ(lines, c.submitted);
  }
}

// A server takes whole splits, each row once.
TEST(ClassTask, SubmissionsOfSomeRowsAreRefused) {
  const TempFolder folder;
  const std::string row = "{\"premise\": \"P\", \"hypothesis\": \"H\", \"idx\": 12}\n";
  folder.write("test.jsonl", row + row);
  const auto some = task_of("superglue/rte", "path: " + folder.path() + "\nmax_rows: 1");
  EXPECT_THAT(message_of<ConfigError>([&] { some->submissions({"entailment"}, some->load("test")); }),
              HasSubstr("max_rows: 1, but a submission is of all rows"));
  const auto all = task_of("superglue/rte", "path: " + folder.path());
  EXPECT_THAT(message_of<Error>([&] {
                all->submissions({"entailment", "entailment"}, all->load("test"));
              }),
              HasSubstr("the row test/12 is there twice"));
}

TEST(ClassTask, TheMismatchedSectionOfMnliIsNotTakenFromTheOther) {
  const TempFolder folder;
  folder.write("MNLI/dev.json", "[{\"text_a\": \"P\", \"text_b\": \"H\", \"label\": \"neutral\"}]");
  EXPECT_EQ(task_of("glue/mnli", "path: " + folder.path())->load("validation").size(), 1u);
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { task_of("glue/mnli_mismatched", "path: " + folder.path())->load("validation"); }),
              HasSubstr("dev_mismatched.tsv is not there"));
}

TEST(ClassTask, IllegalPredictionsAreSubmittedAsTheFirstLabelAndCounted) {
  const TempFolder folder;
  folder.write("test.jsonl", "{\"premise\": \"P\", \"hypothesis\": \"H\", \"idx\": 12}\n");
  const auto task = task_of("superglue/rte", "path: " + folder.path());
  const auto test = task->load("test");
  EXPECT_EQ(test[0].target, "<unk>");
  EXPECT_FALSE(is_labelled(test[0]));
  const Submission file = task->submissions({"entailmen"}, test).front();
  EXPECT_EQ(file.invalid, 1u);
  EXPECT_THAT(file.lines, ElementsAre("{\"idx\":12,\"label\":\"entailment\"}"));
  EXPECT_THAT(message_of<Error>([&] { task->submissions({}, test); }), HasSubstr("0 predictions for 1"));
  EXPECT_THAT(message_of<Error>([&] { task->score({"entailment"}, test); }),
              HasSubstr("'test/12' has no label"));
}

TEST(ClassTask, TestSplitsWithoutLabels) {
  const TempFolder folder;
  folder.write("test.tsv", "index\tsentence\n0\tlong\n");
  EXPECT_EQ(task_of("glue/sst2", "path: " + folder.path())->load("test")[0].target, "<unk>");
  EXPECT_EQ(task_of("glue/cola", "path: " + folder.path())->load("test")[0].input, "sentence: long");
  folder.write("test.tsv", "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\ta\tb\n");
  EXPECT_FALSE(is_labelled(task_of("glue/mrpc", "path: " + folder.path())->load("test")[0]));
  folder.write("msr_paraphrase_test.txt", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta\tb\n");
  EXPECT_EQ(task_of("glue/mrpc", "path: " + folder.path())->load("test")[0].target, "equivalent");
}

// As some copies of GLUE are passed on.
TEST(ClassTask, PairsInOneJsonDocument) {
  const TempFolder folder;
  folder.write(
      "train.json",
      "{\"0\": {\"text_a\": \"A?\", \"text_b\": \"B?\", \"label\": \"1\"},\n \"1\": {\"text_a\": \"C?\", "
      "\"text_b\": \"D?\", \"label\": \"0\"}}");
  const auto rows = task_of("glue/qqp", "path: " + folder.path())->load("train");
  EXPECT_EQ(rows[0].input, "question1: A? question2: B?");
  EXPECT_THAT(targets_of(rows), ElementsAre("duplicate", "not_duplicate"));
  folder.write("train.json", "{\"0\": {\"text_a\": \"A?\", \"text_b\": \"B?\", \"label\": \"2\"}}");
  EXPECT_THAT(message_of<Error>([&] { task_of("glue/qqp", "path: " + folder.path())->load("train"); }),
              HasSubstr("train.json: row 1: unknown label '2'"));
}

// A prompt of QQP, scored on MRPC (Lester et al. 2021, table 2).
TEST(ClassTask, PredictionsInTheWordsOfAnotherTask) {
  const TempFolder folder;
  folder.write("dev.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta\tb\n0\t3\t4\tc\td\n");
  const auto plain = task_of("glue/mrpc", "path: " + folder.path());
  const auto transfer = task_of("glue/mrpc", "path: " + folder.path() + "\nreplace: [duplicate, equivalent]");
  const auto rows = transfer->load("validation");
  EXPECT_EQ(plain->score({"duplicate", "not_duplicate"}, rows).invalid, 2u);
  EXPECT_DOUBLE_EQ(transfer->score({"duplicate", "not_duplicate"}, rows).main_value(), 100);
  // What is ranked are the words that the prompt was trained to say.
  EXPECT_THAT(transfer->choices(), ElementsAre("not_duplicate", "duplicate"));
  EXPECT_EQ(transfer->score(transfer->choices(), rows).invalid, 0u);
  EXPECT_EQ(plain->choices(), plain->labels());
  EXPECT_THAT(message_of<ConfigError>([&] { task_of("glue/mrpc", "path: x\nreplace: [a]"); }),
              HasSubstr("replace should be two texts"));
  EXPECT_THAT(message_of<ConfigError>([&] { task_of("glue/mrpc", "path: x\nreplace: [duplicate, equal]"); }),
              HasSubstr("no label has 'equal' in it"));
}

TEST(ClassTask, RowsOfQqpThatAreCutShortAreLeftOut) {
  const TempFolder folder;
  folder.write("train.tsv",
               "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\ta\tb\t0\n4\t5\t6\tcut\n"
               "7\t8\t9\tc\td\t1\n");
  const auto task = task_of("glue/qqp", "path: " + folder.path());
  ::testing::internal::CaptureStderr();
  EXPECT_THAT(targets_of(task->load("train")), ElementsAre("not_duplicate", "duplicate"));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("train.tsv: 1 rows have fewer fields"));
  folder.write("train.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\ta\tb\t0\t0\n");
  EXPECT_THAT(message_of<Error>([&] { task->load("train"); }), HasSubstr("train.tsv:2: the row has 7"));
}

TEST(ClassTask, BadInput) {
  const TempFolder folder;
  const auto task = task_of("superglue/rte", "path: " + folder.path());
  const auto error = [&](const std::string& text) {
    folder.write("val.jsonl", text);
    return message_of<Error>([&] { task->load("validation"); });
  };
  const std::string good = premises("entailment", "not_entailment");
  EXPECT_THAT(error(good + "{\"premise\": \"P\", \n"), HasSubstr("val.jsonl:3: no JSON:"));
  EXPECT_THAT(error(good + "{\"premise\": \"na\xEFve\"}\n"),
              HasSubstr("val.jsonl:3: byte 0xef at column 16"));
  EXPECT_THAT(error(premises("entailment", "entailmemt")),
              AllOf(HasSubstr("val.jsonl:2: unknown label 'entailmemt'"),
                    HasSubstr("did you mean 'entailment'? known: entailment, not_entailment")));
  EXPECT_THAT(error("{\"premise\": \"P\", \"label\": \"entailment\", \"idx\": 7}\n"),
              HasSubstr("val.jsonl:1: field 'hypothesis' is missing"));
  EXPECT_THAT(error("{\"premise\": \"P\", \"hypothesis\": \"H\", \"idx\": 7}\n"),
              HasSubstr("val.jsonl:1: field 'label' is missing"));
  EXPECT_THAT(error("{\"premise\": 3, \"hypothesis\": \"H\", \"label\": \"entailment\", \"idx\": 7}\n"),
              HasSubstr("val.jsonl:1: field 'premise' should be a string, but is number"));
  EXPECT_THAT(error(""), HasSubstr("val.jsonl: the file is empty"));
  EXPECT_THAT(error("\n\n"), HasSubstr("val.jsonl: the file has no rows"));

  const auto tsv = task_of("glue/sst2", "path: " + folder.path());
  folder.write("train.tsv", "sentence\tlabel\nfine\t1\nno label\n");
  EXPECT_THAT(message_of<Error>([&] { tsv->load("train"); }),
              HasSubstr("train.tsv:3: the row has 1 tab-separated fields, but the header has 2"));
  folder.write("train.tsv", "sentence\tlabels\nfine\t1\n");
  EXPECT_THAT(message_of<Error>([&] { tsv->load("train"); }),
              HasSubstr("column 'label' is missing (the header has: sentence, labels)"));
  folder.write("train.tsv", "only\t1\tthree\n");
  EXPECT_THAT(message_of<Error>([&] { task_of("glue/cola", "path: " + folder.path())->load("train"); }),
              HasSubstr("train.tsv:1: the row has 3 tab-separated fields, but the columns are 4"));
}

TEST(ClassTask, LabelsWithoutExample) {
  std::vector<TextExample> rows(2);
  rows[0].target = "a";
  rows[1].target = "c";
  EXPECT_THAT(labels_without_example({"a", "b", "c"}, rows), ElementsAre("b"));
  EXPECT_TRUE(labels_without_example({}, rows).empty());
}

// A verbaliser: the model reads and writes words, files and servers keep their labels.
TEST(ClassTask, WordsStandForLabels) {
  const TempFolder folder;
  folder.write("val.jsonl", premises("entailment", "not_entailment"));
  const auto task = task_of("superglue/rte", "path: " + folder.path() + "\nlabel_words: [\"yes\", \"no\"]");
  EXPECT_THAT(task->labels(), ElementsAre("yes", "no"));
  EXPECT_THAT(task->prompt_words(), ElementsAre("yes", "no"));
  const std::vector<TextExample> examples = task->load("validation");
  EXPECT_EQ(examples[0].target, "yes");
  EXPECT_EQ(examples[1].target, "no");
  EXPECT_DOUBLE_EQ(task->score({"yes", "yes"}, examples).main_value(), 50.0);
  EXPECT_EQ(task->score({"entailment", "no"}, examples).invalid, 1u);
  EXPECT_THAT(
      task->submissions({"no", "yes"}, examples).front().lines,
      ElementsAre("{\"idx\":0,\"label\":\"not_entailment\"}", "{\"idx\":1,\"label\":\"entailment\"}"));
  for (const char* words : {"[\"yes\"]", "[\"yes\", \"yes\"]", "[\"yes\", \"\"]"})
    EXPECT_THAT(message_of<ConfigError>(
                    [&] { task_of("superglue/rte", fmt::format("path: x\nlabel_words: {}", words)); }),
                HasSubstr("2 distinct words, for entailment, not_entailment in this order"));
}

}  // namespace
}  // namespace trimtab
