// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/mixture.h"

#include <gmock/gmock.h>

#include <map>

#include "data/batcher.h"
#include "data/sampler.h"
#include "data/task_maker.h"
#include "data/temp_folder.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string rte(int rows) {
  std::string text;
  for (int i = 0; i < rows; ++i)
    text += std::string("{\"premise\": \"P\", \"hypothesis\": \"H\", \"label\": \"") +
            (i % 2 == 0 ? "entailment" : "not_entailment") + "\", \"idx\": " + std::to_string(i) + "}\n";
  return text;
}

std::string copa(int rows) {
  std::string text;
  for (int i = 0; i < rows; ++i)
    text +=
        "{\"premise\": \"p\", \"choice1\": \"a\", \"choice2\": \"b\", \"question\": \"cause\", \"label\": 1, "
        "\"idx\": " +
        std::to_string(i) + "}\n";
  return text;
}

struct Data {
  Data() {
    folder.write("RTE/train.jsonl", rte(10));
    folder.write("RTE/val.jsonl", rte(4));
    folder.write("COPA/train.jsonl", copa(3));
    folder.write("COPA/val.jsonl", copa(2));
    folder.write("AX-g/AX-g.jsonl", rte(2));
    folder.write("WSC/val.jsonl",
                 "{\"text\": \"Tom said he ran.\", \"target\": {\"span1_text\": \"Tom\", \"span1_index\": 0, "
                 "\"span2_text\": \"he\", \"span2_index\": 2}, \"idx\": 0, \"label\": true}\n");
  }
  std::unique_ptr<Task> mixture(const std::string& tasks, const std::string& more = "") const {
    std::string list;
    for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
      end = tasks.find(' ', begin);
      list += "\n  - {task: {name: superglue/" + tasks.substr(begin, end - begin) +
              ", path: " + folder.path() + "}}";
    }
    return task_of("mixture", more + "tasks:" + list);
  }
  TempFolder folder;
};

TEST(Mixture, RowsBehindTheNamesOfTheirTasks) {
  const Data data;
  const auto task = data.mixture("rte copa axg");
  EXPECT_THAT(task->splits(), ElementsAre("train", "validation", "test"));
  EXPECT_THAT(task->labels(), ElementsAre("entailment", "not_entailment", "choice1", "choice2"));
  const auto train = task->load("train");
  ASSERT_EQ(train.size(), 13u);
  EXPECT_EQ(train[0].input, "rte hypothesis: H premise: P");
  EXPECT_EQ(train[10].input, "copa choice1: a choice2: b premise: p question: cause");
  EXPECT_EQ(train[0].id, "superglue/rte:train/0");
  EXPECT_EQ(data.mixture("axg")->load("test")[0].input, "rte hypothesis: H premise: P");
  EXPECT_EQ(data.mixture("rte", "prefix: false\n")->load("train")[0].input, "hypothesis: H premise: P");
  EXPECT_THAT(task->parts(train), ElementsAre(SampledPart{10, 10}, SampledPart{3, 3}));
  EXPECT_THAT(data.mixture("rte copa", "cap: 4\n")->parts(train),
              ElementsAre(SampledPart{10, 4}, SampledPart{3, 3}));
}

TEST(Mixture, SharesMayBeGiven) {
  const Data data;
  const std::string path = ", path: " + data.folder.path() + "}";
  const auto task =
      task_of("mixture", "cap: 4\ntasks:\n  - {task: {name: superglue/rte" + path +
                             ", share: 6}\n  - {task: {name: superglue/copa" + path + ", share: 9}");
  EXPECT_THAT(task->parts(task->load("train")), ElementsAre(SampledPart{10, 6}, SampledPart{3, 9}));
}

TEST(Mixture, ScoresOfEachTaskAndTheirMean) {
  const Data data;
  const auto task = data.mixture("rte copa wsc");
  const auto dev = task->load("validation");
  expect_perfect(*task, dev);
  std::vector<std::string> answers = perfect_answers(dev);
  answers[0] = "choice1";  // of another task
  answers[6] = "";
  const Scores scores = task->score(answers, dev);
  EXPECT_DOUBLE_EQ(scores.value("superglue/rte/accuracy"), 75);
  EXPECT_DOUBLE_EQ(scores.value("superglue/copa/accuracy"), 100);
  EXPECT_DOUBLE_EQ(scores.value("superglue/wsc/accuracy"), 0);
  EXPECT_NEAR(scores.main_value(), 175.0 / 3, 1e-12);
  EXPECT_EQ(scores.invalid, 2u);
  EXPECT_EQ(scores.examples, 7u);
}

TEST(Mixture, SubmissionsOfEachTask) {
  const Data data;
  const auto task = data.mixture("rte copa");
  const auto dev = task->load("validation");
  const auto files = task->submissions(targets_of(dev), dev);
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].file, "RTE.jsonl");
  EXPECT_EQ(files[1].lines[1], R"({"idx":1,"label":1})");
}

TEST(Mixture, AnswersAreChosenFromOneListOnly) {
  const Data data;
  EXPECT_THAT(data.mixture("rte axg")->choices(), ElementsAre("entailment", "not_entailment"));
  EXPECT_THAT(message_of<ConfigError>([&] { data.mixture("rte copa")->choices(); }),
              HasSubstr("superglue/rte and superglue/copa have different labels"));
}

TEST(Mixture, Errors) {
  const Data data;
  EXPECT_THAT(message_of<ConfigError>([] { task_of("mixture", "tasks: []"); }), HasSubstr("task.tasks"));
  EXPECT_THAT(message_of<ConfigError>([&] { data.mixture("rte rte"); }),
              HasSubstr("superglue/rte is listed twice"));
  EXPECT_THAT(
      message_of<ConfigError>([] { task_of("mixture", "tasks: [{task: {name: mixture, tasks: []}}]"); }),
      HasSubstr("cannot hold a mixture"));
  EXPECT_THAT(message_of<ConfigError>([&] { data.mixture("rta"); }),
              HasSubstr("did you mean 'superglue/rte'?"));
}

struct File {
  Subtree task{};
};

template <class V>
void describe(V& v, File& s) {
  v.field("task", s.task, "A task.", {.required = true});
}

// What a run stores beside its results makes the same task again.
TEST(Mixture, DumpReadsBack) {
  const std::string text =
      "task:\n  name: mixture\n  cap: 7\n  tasks:\n    - {task: {name: superglue/rte, path: d, max_rows: "
      "3}}\n"
      "    - {task: {name: superglue/cb, path: d}, share: 2}\n";
  File run = parse_config<File>(text, "run.yaml");
  make_task(run.task);
  const std::string dump = dump_config(run);
  EXPECT_THAT(dump, HasSubstr("max_rows: 3"));
  EXPECT_THAT(dump, HasSubstr("prefix: true"));
  File again = parse_config<File>(dump, "dump.yaml");
  EXPECT_EQ(make_task(again.task)->labels().size(), 4u);
  EXPECT_EQ(dump_config(again), dump);
}

std::map<std::size_t, int> counts_of(Sampler& sampler, std::uint64_t first_row, std::uint64_t rows) {
  std::map<std::size_t, int> counts;
  for (std::uint64_t row = first_row; row < first_row + rows; ++row) ++counts[sampler.step(row)[0].example];
  return counts;
}

// Parts of 10, 3 and 4 examples with shares 4, 6 and 4: epochs of 14 rows.
TEST(SampledParts, EachEpochHasTheSharesAndCappedPartsGoOnWhereTheyStopped) {
  Sampler sampler({{10, 4}, {3, 6}, {4, 4}}, 1, 5);
  EXPECT_EQ(sampler.epoch_size(), 14u);
  std::map<std::size_t, int> first_part;
  for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
    int large = 0;
    for (const auto& [example, count] : counts_of(sampler, 14 * epoch, 14)) {
      if (example < 10) {
        large += count;
        first_part[example] += count;
      } else {
        EXPECT_EQ(count, example < 13 ? 2 : 1) << example;
      }
    }
    EXPECT_EQ(large, 4);
  }
  // Five epochs take 20 of the large part's rows: each twice.
  EXPECT_EQ(first_part.size(), 10u);
  for (const auto& [example, count] : first_part) EXPECT_EQ(count, 2) << example;
}

TEST(SampledParts, OneWholePartIsTheUsualSampler) {
  Sampler usual(11, 4, 7), parts({{11, 11}}, 4, 7);
  for (std::uint64_t step = 0; step < 9; ++step)
    for (std::size_t row = 0; row < 4; ++row)
      EXPECT_EQ(usual.step(step)[row].example, parts.step(step)[row].example);
}

TEST(SampledParts, StepIsAPureFunctionOfSeedAndStep) {
  const std::vector<SampledPart> parts = {{10, 4}, {3, 7}};
  Sampler forward(parts, 3, 7), backward(parts, 3, 7), other(parts, 3, 8);
  std::vector<std::size_t> there, back, different;
  for (std::uint64_t step = 0; step < 20; ++step) {
    there.push_back(forward.step(step)[1].example);
    back.insert(back.begin(), backward.step(19 - step)[1].example);
    different.push_back(other.step(step)[1].example);
  }
  EXPECT_EQ(there, back);
  EXPECT_NE(there, different);
}

TEST(SampledParts, ReplicasShareTheBatch) {
  const std::vector<SampledPart> parts = {{10, 4}, {3, 7}};
  Sampler whole(parts, 5, 7), second(parts, 5, 7, {1, 2});
  const auto mine = second.step(6);
  ASSERT_EQ(mine.size(), 2u);
  for (const SampledRow& row : mine) EXPECT_EQ(row.example, whole.step(6)[row.sample].example);
}

TEST(SampledParts, Errors) {
  EXPECT_THAT(message_of<Error>([] { Sampler(std::vector<SampledPart>{}, 4, 1); }), HasSubstr("is empty"));
  EXPECT_THAT(message_of<Error>([] { Sampler({{3, 3}, {0, 2}}, 4, 1); }), HasSubstr("is empty"));
  ExampleStore store;
  store.inputs.append(std::vector<TokenId>{1});
  store.targets.append(std::vector<TokenId>{1});
  EXPECT_THAT(message_of<Error>([&] { Batcher(store, {{2, 2}}, 1, 1); }), HasSubstr("parts of 2 examples"));
}

}  // namespace
}  // namespace trimtab
