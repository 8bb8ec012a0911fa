// SPDX-License-Identifier: Apache-2.0
//
// Runs gathered into rows, tables and pictures, from records written by hand. Means and deviations were
// computed by hand.
#include "experiments/results.h"

#include <unistd.h>

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "experiments/message_of.h"
#include "experiments/results_plots.h"
#include "experiments/results_table.h"
#include "experiments/run_lock.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Setting {
  std::string method = "{name: prompt_tuning, length: 20}";
  std::string task = "{name: glue/sst2, path: data}";
  std::string weights = "m.h5";
  int seed = 1;
  std::string labels = "[]";
};

StoredRun run_of(const std::string& folder, const Setting& setting, double dev) {
  StoredRun out;
  out.folder = folder;
  out.config = parse_yaml(
      fmt::format("name: {0}\noutput: {0}\nlabels: {1}\nmodel: {{weights: {2}, threads: 1}}\nmethod: {3}\n"
                  "task: {4}\ntext: {{max_input: 96}}\ntrain: {{steps: 10, seed: {5}, log_every: {5}}}\n"
                  "evaluate: {{split: validation}}\n",
                  folder, setting.labels, setting.weights, setting.method, setting.task, setting.seed),
      "config.yaml");
  RunRecord& record = out.record;
  record.name = folder;
  record.status = "finished";
  record.method = out.config.find("method")->find("name")->text;
  record.task = out.config.find("task")->find("name")->text;
  record.base_parameters = 1000000;
  record.trained_parameters = 5120;
  record.seconds = 60 + setting.seed;
  record.peak_memory = std::uint64_t{1} << 30;
  record.scores["validation"] = {{{"accuracy", dev}}, "accuracy", 100, setting.seed, 0, 51.0};
  return out;
}

StoredRun seed_run(int seed, double dev) {
  Setting setting;
  setting.seed = seed;
  return run_of("p" + std::to_string(seed), setting, dev);
}

std::vector<std::string> titles(const Results& results) {
  std::vector<std::string> out;
  for (const ResultColumn& column : results.columns) out.push_back(column.title);
  return out;
}

TEST(Statistics, MeanAndSampleDeviation) {
  const Statistic three = statistic_of({1, 2, 6});
  EXPECT_DOUBLE_EQ(three.mean, 3);
  EXPECT_DOUBLE_EQ(three.deviation, std::sqrt(7.0));  // (4 + 1 + 9) / 2
  EXPECT_EQ(three.count, 3u);
  EXPECT_EQ(statistic_of({5}).deviation, 0);
}

TEST(Results, SeedsAreOneRowAndOtherSettingsStayApart) {
  Setting zero;
  zero.method = "{name: zero_shot}";
  Setting longer;
  longer.method = "{name: prompt_tuning, length: 100}";
  const Results results = collate(
      {run_of("z", zero, 50), seed_run(1, 80), run_of("l", longer, 90), seed_run(2, 82), seed_run(3, 87)});
  EXPECT_THAT(titles(results), ElementsAre("method", "length"));
  ASSERT_EQ(results.rows.size(), 3u);
  EXPECT_THAT(results.rows[0].settings, ElementsAre("zero_shot", ""));
  EXPECT_THAT(results.rows[1].settings, ElementsAre("prompt_tuning", "20"));
  EXPECT_THAT(results.rows[2].settings, ElementsAre("prompt_tuning", "100"));
  const Statistic score = results.rows[1].score("validation");
  EXPECT_DOUBLE_EQ(score.mean, 83);
  EXPECT_DOUBLE_EQ(score.deviation, std::sqrt(13.0));  // (9 + 1 + 16) / 2
  EXPECT_DOUBLE_EQ(results.rows[1].seconds(), 62);
  EXPECT_DOUBLE_EQ(results.rows[1].invalid(), 2);
  EXPECT_EQ(results.rows[1].name(results.columns), "prompt_tuning, length 20");
  EXPECT_THAT(results.notes, IsEmpty());
}

TEST(Results, ColumnsAreTheFewestThatTellRowsApart) {
  Setting a, b;
  a.method = "{name: prompt_tuning, length: 5}";
  EXPECT_THAT(titles(collate({run_of("a", a, 1), run_of("b", b, 2)})), ElementsAre("length"));
  // Weights and length go hand in hand: the first is enough.
  b.weights = "w/big.h5";
  const Results results = collate({run_of("a", a, 1), run_of("b", b, 2)});
  EXPECT_THAT(titles(results), ElementsAre("weights"));
  EXPECT_THAT(results.rows[1].settings, ElementsAre("big.h5"));
  // The method is named even where another column would do.
  b.method = "{name: zero_shot}";
  EXPECT_THAT(titles(collate({run_of("a", a, 1), run_of("b", b, 2)})), ElementsAre("method"));
  // One row says at least by which method.
  EXPECT_THAT(titles(collate({run_of("a", a, 1)})), ElementsAre("method"));
}

TEST(Results, LabelsOfAComparisonNameTheColumns) {
  Setting a, b;
  a.labels = "[size=small, seed=1]";
  b.labels = "[size=big, seed=1]";
  b.weights = "big.h5";
  Setting a2 = a;
  a2.labels = "[size=small, seed=2]";
  a2.seed = 2;
  const Results results = collate({run_of("a", a, 1), run_of("a2", a2, 3), run_of("b", b, 2)});
  EXPECT_THAT(titles(results), ElementsAre("size"));
  EXPECT_THAT(results.rows[0].settings, ElementsAre("small"));
  EXPECT_EQ(results.rows[0].runs.size(), 2u);
}

TEST(Results, ALabelThatARunLacksIsWhatItHasAtTheKey) {
  Setting zero, prompt;
  zero.method = "{name: zero_shot}";
  zero.labels = "[method=zero_shot]";
  prompt.labels = "[length=20]";
  const Results results = collate({run_of("z", zero, 1), run_of("p", prompt, 2)});
  EXPECT_THAT(titles(results), ElementsAre("method", "length"));
  EXPECT_THAT(results.rows[0].settings, ElementsAre("zero_shot", ""));
  EXPECT_THAT(results.rows[1].settings, ElementsAre("prompt_tuning", "20"));
}

TEST(Results, WhatIsInNoRowIsSaid) {
  StoredRun killed = seed_run(2, 0);
  killed.record.status = "running";
  killed.record.steps = 7;
  StoredRun failed = seed_run(3, 0);
  failed.record.status = "failed";
  StoredRun again = seed_run(1, 80);
  again.folder = "copy";
  StoredRun bare = seed_run(4, 0);
  bare.record.scores.clear();
  const Results results = collate({seed_run(1, 80), killed, failed, again, bare});
  ASSERT_EQ(results.rows.size(), 1u);
  EXPECT_EQ(results.rows[0].runs.size(), 1u);
  EXPECT_THAT(results.notes,
              ElementsAre("p2 is interrupted after 7 steps", "p3 is failed after 0 steps",
                          "copy is the run in p1 once more: it counts once", "p4 was not scored"));
}

TEST(Results, MeanOverTasksNeedsAllOfThem) {
  const auto on = [](const std::string& task, int seed, double dev) {
    Setting setting;
    setting.task = "{name: " + task + ", path: data}";
    setting.seed = seed;
    setting.labels = fmt::format("[task={}, size=small, seed={}]", task, seed);
    return run_of(fmt::format("{}-{}", task, seed), setting, dev);
  };
  std::vector<std::string> notes;
  const auto runs = mean_over_tasks(
      {on("a", 1, 60), on("b", 1, 80), on("a", 2, 70), on("b", 2, 74), on("a", 3, 99)}, notes);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_DOUBLE_EQ(runs[0].record.scores.at("validation").main_value(), 70);
  EXPECT_EQ(runs[0].record.scores.at("validation").examples, 200);
  EXPECT_DOUBLE_EQ(runs[0].record.seconds, 122);
  EXPECT_THAT(notes, ElementsAre(AllOf(HasSubstr("a-3"), HasSubstr("b missing"))));
  const Results results = collate(runs);
  ASSERT_EQ(results.rows.size(), 1u);
  EXPECT_DOUBLE_EQ(results.rows[0].score("validation").mean, 71);
  EXPECT_DOUBLE_EQ(results.rows[0].score("validation").deviation, std::sqrt(2.0));
}

Results two_rows() {
  Setting zero;
  zero.method = "{name: zero_shot}";
  StoredRun first = run_of("z", zero, 50);
  first.record.scores["test"] = {{{"accuracy", 49.5}}, "accuracy", 100, 0, 0, {}};
  first.record.trained_parameters = 0;
  return collate({first, seed_run(1, 80), seed_run(2, 82)});
}

TEST(ResultsTable, Text) {
  EXPECT_EQ(results_table(two_rows(), TableFormat::kText),
            "method         runs  validation accuracy  test accuracy  majority class  trained parameters  "
            "share of the model  seconds  peak memory  no label\n"
            "zero_shot         1                50.00          49.50           51.00                   0  "
            "          0.0000 %       61      1.0 GiB         1\n"
            "prompt_tuning     2         81.00 ± 1.41              -           51.00                5120  "
            "          0.5120 %       62      1.0 GiB       1.5\n");
}

TEST(ResultsTable, Markdown) {
  const std::string table = results_table(two_rows(), TableFormat::kMarkdown);
  EXPECT_THAT(table, HasSubstr("\n|:------------- | ----:| -------------------:|"));
  EXPECT_THAT(table, HasSubstr("\n| prompt_tuning |    2 |        81.00 ± 1.41 |"));
}

TEST(ResultsTable, CsvHasNumbersInFullAndQuotesWhatNeedsThem) {
  Results results = two_rows();
  results.rows[0].settings[0] = "a \"b\", c";
  EXPECT_EQ(results_table(results, TableFormat::kCsv),
            "method.name,metric,runs,validation_mean,validation_deviation,test_mean,test_deviation,"
            "majority_class,trained_parameters,share_percent,seconds,peak_memory_bytes,no_label\n"
            "\"a \"\"b\"\", c\",accuracy,1,50,,49.5,,51,0,0,61.000,1073741824,1\n"
            "prompt_tuning,accuracy,2,81,1.4142135623730951,,,51,5120,0.512,61.500,1073741824,1.5\n");
  EXPECT_THAT(message_of([] { parse_table_format("html"); }), HasSubstr("text, markdown or csv"));
}

TEST(ResultsPlots, ScoreOverANumberHasBarsAndLevels) {
  std::vector<StoredRun> runs;
  for (const int length : {100, 1, 20})
    for (const int seed : {1, 2}) {
      Setting setting;
      setting.method = fmt::format("{{name: prompt_tuning, length: {}}}", length);
      setting.seed = seed;
      runs.push_back(run_of("r", setting, 50 + length / 10.0 + seed));
    }
  Setting zero;
  zero.method = "{name: zero_shot}";
  runs.push_back(run_of("z", zero, 48));
  const auto plots = results_plots("t", collate(runs));
  ASSERT_EQ(plots.size(), 1u);  // nothing was left that has a curve
  EXPECT_EQ(plots[0].name, "by-length");
  const Plot& plot = plots[0].plot;
  ASSERT_EQ(plot.curves.size(), 1u);
  EXPECT_EQ(plot.curves[0].name, "prompt_tuning");
  ASSERT_EQ(plot.curves[0].points.size(), 3u);
  EXPECT_EQ(plot.curves[0].points[1].x, 20);
  EXPECT_DOUBLE_EQ(plot.curves[0].points[1].y, 53.5);
  EXPECT_DOUBLE_EQ(plot.curves[0].points[1].spread, std::sqrt(0.5));
  EXPECT_THAT(plot.levels, ElementsAre(std::pair<std::string, double>("zero_shot", 48),
                                       std::pair<std::string, double>("majority class", 51)));
}

TEST(ResultsPlots, SizesAreAnAxisAndTasksHaveTheirOwnPictures) {
  std::vector<StoredRun> runs;
  for (const std::string task : {"glue/sst2", "superglue/rte"})
    for (const int size : {1, 3}) {
      Setting setting;
      setting.task = "{name: " + task + "}";
      setting.weights = fmt::format("w/{}.h5", size == 1 ? "small" : "base");
      runs.push_back(run_of("r", setting, 50 + size));
      runs.back().record.base_parameters = size * 77000000;
    }
  const auto plots = results_plots("t", collate(runs));
  ASSERT_EQ(plots.size(), 2u);
  EXPECT_EQ(plots[0].name, "by-weights-glue-sst2");
  EXPECT_EQ(plots[1].name, "by-weights-superglue-rte");
  EXPECT_EQ(plots[1].plot.title, "t: superglue/rte");
  ASSERT_EQ(plots[1].plot.curves.size(), 1u);
  EXPECT_EQ(plots[1].plot.curves[0].points.back().x, 231000000);
}

class RunFolders : public ::testing::Test {
 protected:
  RunFolders() : folder_(::testing::TempDir() + "trimtab-results-" + std::to_string(::getpid())) {}
  ~RunFolders() override { std::filesystem::remove_all(folder_); }

  void store(const std::string& name, const StoredRun& run, const std::string& metrics = "") const {
    std::filesystem::create_directories(folder_ + "/" + name);
    save_record(run.record, folder_ + "/" + name + "/record.json");
    std::ofstream(folder_ + "/" + name + "/config.yaml") << to_yaml(run.config);
    std::ofstream(folder_ + "/" + name + "/metrics.jsonl") << metrics;
  }

  std::string folder_;
};

TEST_F(RunFolders, AreFoundInTheOrderOfTheirNumbers) {
  for (const char* name : {"length=100", "length=5", "deep/er/length=20"}) store(name, seed_run(1, 50));
  std::filesystem::create_directories(folder_ + "/empty");
  std::vector<std::string> names;
  for (const StoredRun& run : find_runs({folder_})) names.push_back(run.folder.substr(folder_.size() + 1));
  EXPECT_THAT(names, ElementsAre("deep/er/length=20", "length=5", "length=100"));
  EXPECT_THAT(message_of([&] { find_runs({folder_ + "/empty"}); }), HasSubstr("no run is in it"));
  EXPECT_THAT(message_of([&] { find_runs({folder_ + "/none"}); }), HasSubstr("is no folder"));
  std::ofstream(folder_ + "/length=5/record.json") << "{";
  EXPECT_THAT(message_of([&] { find_runs({folder_}); }), HasSubstr("length=5/record.json"));
}

TEST_F(RunFolders, CurvesAreMeansWhereEverySeedWasScored) {
  const auto line = [](int step, double score) {
    return fmt::format("{{\"step\":{},\"kind\":\"validation\",\"score\":{}}}\n", step, score);
  };
  const std::string other = "{\"step\":1,\"kind\":\"train\",\"loss\":3}\n";
  store("1", seed_run(1, 60), line(0, 10) + other + line(5, 40) + line(10, 60));
  store("2", seed_run(2, 50), line(0, 20) + line(5, 50));
  Setting zero;
  zero.method = "{name: zero_shot}";
  store("z", run_of("z", zero, 5));
  const auto plots = results_plots("t", collate(find_runs({folder_})));
  ASSERT_EQ(plots.size(), 1u);
  ASSERT_EQ(plots[0].plot.curves.size(), 1u);
  const auto& points = plots[0].plot.curves[0].points;
  ASSERT_EQ(points.size(), 2u);
  EXPECT_DOUBLE_EQ(points[1].x, 5);
  EXPECT_DOUBLE_EQ(points[1].y, 45);
  EXPECT_DOUBLE_EQ(points[1].spread, std::sqrt(50.0));
  EXPECT_THAT(plots[0].plot.levels, Contains(std::pair<std::string, double>("zero_shot", 5)));
}

TEST_F(RunFolders, ManyCurvesAreSeveralPictures) {
  for (int length = 1; length <= 5; ++length)
    for (const char* init : {"uniform", "text", "file"}) {
      Setting setting;
      setting.method = fmt::format("{{name: prompt_tuning, length: {}, init: {}}}", length, init);
      store(fmt::format("{}{}", length, init), run_of("r", setting, 60),
            "{\"step\":1,\"kind\":\"validation\",\"score\":60}\n");
    }
  std::vector<std::string> names;
  for (const NamedPlot& plot : results_plots("t", collate(find_runs({folder_})))) names.push_back(plot.name);
  EXPECT_THAT(names, ElementsAre("curves-length-1", "curves-length-2", "curves-length-3", "curves-length-4",
                                 "curves-length-5", "by-length"));
}

TEST_F(RunFolders, ALockedRunIsRunning) {
  StoredRun run = seed_run(1, 0);
  run.record.status = "running";
  store("1", run);
  const auto lock = try_lock_run(folder_ + "/1");
  EXPECT_THAT(collate(find_runs({folder_})).notes, ElementsAre(HasSubstr("is running (process ")));
}

}  // namespace
}  // namespace trimtab
