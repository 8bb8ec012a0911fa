// SPDX-License-Identifier: Apache-2.0
//
// Comparison files: which runs they are, what those are called, and what is refused before anything runs.
#include <unistd.h>

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "experiments/comparison.h"
#include "experiments/message_of.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ComparisonFile : public ::testing::Test {
 protected:
  ComparisonFile() : folder_(::testing::TempDir() + "trimtab-comparison-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
    write("base.yaml",
          "output: runs/x\nmodel: {weights: m.h5}\ntask: {name: jsonl, train: t.jsonl}\n"
          "method: {name: prompt_tuning, length: 20}\n");
  }
  ~ComparisonFile() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  Comparison load(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    write("c.yaml", "output: runs/c\nbase: base.yaml\n" + text);
    return load_comparison(folder_ + "/c.yaml", overrides);
  }
  std::vector<std::string> names(const std::string& text) const {
    std::vector<std::string> out;
    for (const ComparedRun& run : load(text).runs) out.push_back(run.name);
    return out;
  }
  std::string refused(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    return message_of([&] { check_distinct(load(text, overrides)); });
  }

 private:
  std::string folder_;
};

TEST_F(ComparisonFile, GridIsEveryCombinationTheFirstAxisSlowest) {
  const Comparison all = load("grid:\n  method.length: [1, 20]\n  train.seed: [3, 1, 2]\n");
  ASSERT_EQ(all.runs.size(), 6u);
  EXPECT_EQ(all.runs[0].name, "length=1,seed=3");
  EXPECT_EQ(all.runs[1].name, "length=1,seed=1");
  EXPECT_EQ(all.runs[5].name, "length=20,seed=2");
  EXPECT_EQ(all.runs[5].config.train.seed, 2);
  EXPECT_EQ(all.runs[5].config.output, "runs/c/length=20,seed=2");
  EXPECT_EQ(all.runs[5].config.name, "comparison/length=20,seed=2");
  EXPECT_THAT(all.runs[5].config.labels, ElementsAre("length=20", "seed=2"));
  EXPECT_THAT(dump_config(all.runs[0].config), HasSubstr("length: 1\n"));
}

TEST_F(ComparisonFile, ListedRunsComeFirstAndGridsFollowEachOther) {
  EXPECT_THAT(
      names("runs: [{name: low, set: [optimizer.learning_rate=0.1]}]\n"
            "grid:\n  - method.name: [zero_shot]\n  - {method.name: [prompt_tuning], train.seed: [1, 2]}\n"),
      ElementsAre("low", "zero_shot", "prompt_tuning,seed=1", "prompt_tuning,seed=2"));
}

TEST_F(ComparisonFile, NamedSettingsSetWhatTheyLike) {
  const Comparison all = load(
      "grid:\n  size:\n    - {name: small, set: [model.weights=w/s.h5, train.batch=8]}\n"
      "    - {name: big, set: [model.weights=w/b.h5]}\n  model.threads: [1, 2]\n");
  EXPECT_EQ(all.runs[0].name, "size=small,threads=1");
  EXPECT_EQ(all.runs[0].config.model.weights, "w/s.h5");
  EXPECT_EQ(all.runs[0].config.train.batch, 8);
  EXPECT_EQ(all.runs[3].name, "size=big,threads=2");
  EXPECT_EQ(all.runs[3].config.train.batch, 32);
}

TEST_F(ComparisonFile, NamesAreShortAndFitForFolders) {
  EXPECT_THAT(names("grid:\n  model.weights: [w/small/, 'w/very big.h5']\n"),
              ElementsAre("weights=small", "weights=very_big.h5"));
  EXPECT_THAT(names("grid:\n  text.max_input: [8]\n  method.init_range: [[-0.5, 0.5]]\n"),
              ElementsAre("max_input=8,init_range=-0.5_0.5"));
  EXPECT_THAT(names("grid:\n  method.length: [1]\n  a.length:\n    - {name: x, set: []}\n"),
              ElementsAre("method.length=1,a.length=x"));
}

TEST_F(ComparisonFile, AnotherMethodLeavesTheOptionsOfTheBasesBehind) {
  const Comparison all = load("grid:\n  method.name: [prompt_tuning, model_tuning]\n");
  EXPECT_THAT(dump_config(all.runs[0].config), HasSubstr("length: 20\n"));
  EXPECT_EQ(all.runs[1].config.method.name(), "model_tuning");
  EXPECT_EQ(*all.runs[1].config.optimizer.learning_rate, 0.001);
}

TEST_F(ComparisonFile, ExcludeLeavesOut) {
  EXPECT_THAT(names("grid:\n  method.length: [1, 5]\n  train.seed: [1, 2]\n"
                    "exclude:\n  - {method.length: 5, train.seed: [2, 1]}\n  - {train.seed: 2}\n"),
              ElementsAre("length=1,seed=1"));
  const std::string grid = "grid:\n  method.length: [1, 5]\n";
  EXPECT_THAT(refused(grid + "exclude: [{method.lenght: 5}]\n"),
              AllOf(HasSubstr("c.yaml:5"), HasSubstr("did you mean 'method.length'?")));
  EXPECT_THAT(refused(grid + "exclude: [{method.length: 20}]\n"), HasSubstr("no setting '20'; it has 1, 5"));
  EXPECT_THAT(refused(grid + "exclude: [{method.length: [1, 5]}]\n"), HasSubstr("no run is left"));
  EXPECT_THAT(refused("runs: [{name: a}]\nexclude: [{a: 1}]\n"), HasSubstr("there is no grid"));
}

TEST_F(ComparisonFile, UnknownKeyOfAnAxisNamesLineAndNearest) {
  EXPECT_THAT(refused("grid:\n  method.length: [1, 5]\n  train.sede: [1, 2]\n"),
              AllOf(HasSubstr("c.yaml:5: train.sede: unknown key"), HasSubstr("did you mean seed?")));
  EXPECT_THAT(refused("grid:\n  x:\n    - {name: a, set: [optimiser.learning_rate=1]}\n"),
              AllOf(HasSubstr("c.yaml:5: optimiser"), HasSubstr("optimizer")));
  // Only the last run is wrong; none has begun.
  EXPECT_THAT(refused("grid:\n  method.init: [uniform, unifrom]\n"), HasSubstr("did you mean 'uniform'?"));
  EXPECT_THAT(refused("runs: [{name: a, set: [train.stesp=1]}]\n"),
              AllOf(HasSubstr("runs: a: train.stesp"), HasSubstr("did you mean steps?")));
}

TEST_F(ComparisonFile, TwoRunsOfOneNameOrOfOneExperimentAreRefused) {
  EXPECT_THAT(refused("runs: [{name: a}, {name: a, set: [train.seed=2]}]\n"),
              HasSubstr("two runs are named 'a'"));
  EXPECT_THAT(refused("grid:\n  model.weights: [a/x.h5, b/x.h5]\n"),
              HasSubstr("two runs are named 'weights=x.h5'"));
  EXPECT_THAT(refused("runs: [{name: a, set: [train.seed=1]}]\ngrid: {train.seed: [1]}\n"),
              HasSubstr("'a' and 'seed=1' are the same experiment"));
  EXPECT_THAT(refused("grid: {train.seed: [1, 2]}\n", {"train.seed=5"}),
              HasSubstr("are the same experiment"));
}

TEST_F(ComparisonFile, AxesThatConflictAreRefused) {
  EXPECT_THAT(refused("grid:\n  train.seed: [1]\n  x:\n    - {name: a, set: [train.seed=2]}\n"),
              AllOf(HasSubstr("axes train.seed and x conflict"), HasSubstr("c.yaml:5")));
  EXPECT_THAT(
      refused("grid:\n  method.length: [1]\n  m:\n    - {name: a, set: ['method={name: zero_shot}']}\n"),
      HasSubstr("conflict: method.length sets method.length, and then m sets method"));
  // Chosen first and refined afterwards is no conflict.
  EXPECT_THAT(
      names("grid:\n  m:\n    - {name: a, set: ['method={name: prompt_tuning}']}\n  method.length: [3]\n"),
      ElementsAre("m=a,length=3"));
}

TEST_F(ComparisonFile, BadShapesAreRefused) {
  EXPECT_THAT(refused(""), HasSubstr("runs: there are none"));
  EXPECT_THAT(refused("grid: 3\n"), HasSubstr("expected axes"));
  EXPECT_THAT(refused("grid: {train.seed: 3}\n"), HasSubstr("train.seed: expected a list of settings"));
  EXPECT_THAT(refused("grid: {train.seed: []}\n"), HasSubstr("an empty one"));
  EXPECT_THAT(refused("grid: {x: [1, {name: a, set: []}]}\n"),
              HasSubstr("x: expected values, or else sections"));
  EXPECT_THAT(refused("grid: {x: [{name: a, sett: []}]}\n"), HasSubstr("found the key 'sett'"));
  EXPECT_THAT(refused("runs: [{name: a/b}]\n"), HasSubstr("'a/b' is to be that of a folder"));
  EXPECT_THAT(refused("runs: [{name: ..}]\n"), HasSubstr("that of a folder"));
  EXPECT_THAT(refused("runs: [{name: '12'}]\n"), HasSubstr("is a number, which --run takes for a position"));
  EXPECT_THAT(refused("runs: [{name: a}]\n", {"output=x"}), HasSubstr("use --output"));
  EXPECT_THAT(refused("gird: {train.seed: [1]}\n"), HasSubstr("did you mean grid?"));
}

TEST_F(ComparisonFile, RunsAreFoundByNumberAndName) {
  const Comparison all = load("grid:\n  train.seed: [1, 2, 3]\n");
  EXPECT_EQ(find_run(all, "1"), 0u);
  EXPECT_EQ(find_run(all, "3"), 2u);
  EXPECT_EQ(find_run(all, "seed=2"), 1u);
  EXPECT_THAT(message_of([&] { find_run(all, "4"); }), HasSubstr("4 is not from 1 to 3"));
  EXPECT_THAT(message_of([&] { find_run(all, "0"); }), HasSubstr("0 is not from 1 to 3"));
  EXPECT_THAT(message_of([&] { find_run(all, "seed=4"); }), HasSubstr("there is no run 'seed=4'"));
}

TEST_F(ComparisonFile, BaseIsRelativeToTheFileAndSetChangesIt) {
  const Comparison all = load("set: [train.steps=7, method.name=model_tuning]\nruns: [{name: a}]\n");
  EXPECT_EQ(all.runs[0].config.train.steps, 7);
  EXPECT_EQ(all.runs[0].config.method.name(), "model_tuning");
}

}  // namespace
}  // namespace trimtab
