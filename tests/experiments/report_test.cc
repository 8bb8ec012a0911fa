// SPDX-License-Identifier: Apache-2.0
//
// Configs and records: all that needs no model.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "experiments/message_of.h"
#include "experiments/pretrain_config.h"
#include "experiments/run_lock.h"
#include "experiments/run_record.h"
#include "experiments/run_state.h"
#include "experiments/same_run.h"
#include "models/methods/tuning_method.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kMinimal = "output: runs/x\nmodel: {weights: m.h5}\ntask: {name: jsonl}\n";

TEST(ExperimentConfig, DefaultsAreThePaper) {
  const auto config = parse_config<ExperimentConfig>(kMinimal, "x.yaml");
  EXPECT_EQ(config.method.name(), "prompt_tuning");
  EXPECT_EQ(config.train.steps, 30000);
  EXPECT_EQ(config.train.batch, 32);
  const OptimizerConfig optimizer = config.optimizer.resolved(0.3);
  EXPECT_EQ(optimizer.name, "adafactor");
  EXPECT_EQ(optimizer.learning_rate, 0.3);
  EXPECT_EQ(optimizer.weight_decay, 1e-5);
  EXPECT_FALSE(optimizer.parameter_scaling);
}

TEST(ExperimentConfig, DumpReadsBackToTheSame) {
  const auto config = parse_config<ExperimentConfig>(kMinimal, "x.yaml", {"optimizer.learning_rate=0.5"});
  const std::string text = dump_config(config);
  EXPECT_EQ(dump_config(parse_config<ExperimentConfig>(text, "dump")), text);
  const auto recipe = parse_config<PretrainConfig>("output: o\ndata: {corpora: [{path: a.txt}]}\n", "r.yaml");
  const std::string dumped = dump_config(recipe);
  EXPECT_EQ(dump_config(parse_config<PretrainConfig>(dumped, "dump")), dumped);
}

TEST(ExperimentConfig, MethodSuggestsOnlyWhereNothingIsWritten) {
  const auto config = parse_config<ExperimentConfig>(kMinimal, "x.yaml");
  EXPECT_EQ(config.optimizer.resolved(0.001).learning_rate, 0.001);
  const auto written = parse_config<ExperimentConfig>(kMinimal, "x.yaml", {"optimizer.learning_rate=0.5"});
  EXPECT_EQ(written.optimizer.resolved(0.001).learning_rate, 0.5);
}

TEST(ExperimentConfig, AnotherMethodLeavesTheOptionsOfTheFilesBehind) {
  const ConfigNode tree =
      parse_yaml(std::string(kMinimal) + "method: {name: prompt_tuning, length: 20}\n", "x.yaml");
  const auto options = [&](const std::vector<std::string>& set) {
    ExperimentConfig config = read_experiment(tree, set);
    make_method(config.method);
    return dump_config(config);
  };
  EXPECT_THAT(options({"method.name=lora", "method.rank=3"}),
              AllOf(HasSubstr("rank: 3"), Not(HasSubstr("length: 20"))));
  EXPECT_THAT(options({"method.name=prompt_tuning"}), HasSubstr("length: 20"));
  EXPECT_THAT(message_of([&] {
                options({"method.name=lora", "method.length=3"});
              }),
              HasSubstr("method.length"));
}

TEST(ExperimentConfig, AWholeModelIsTrainedAsT5TrainsItsOwn) {
  const auto section = [](const std::vector<std::string>& set) {
    return parse_config<ExperimentConfig>(kMinimal, "x.yaml", set).optimizer;
  };
  const OptimizerConfig usual = section({}).resolved(0.001, true);
  EXPECT_TRUE(usual.parameter_scaling);
  EXPECT_EQ(usual.weight_decay, 0.0);
  const OptimizerConfig written =
      section({"optimizer.parameter_scaling=false", "optimizer.weight_decay=0.5"}).resolved(0.001, true);
  EXPECT_FALSE(written.parameter_scaling);
  EXPECT_EQ(written.weight_decay, 0.5);
  EXPECT_FALSE(section({"optimizer.name=sgd"}).resolved(0.001, true).parameter_scaling);
  const OptimizerConfig completed = section({}).completed(0.001, true).resolved();
  EXPECT_EQ(completed, usual);
}

TEST(ExperimentConfig, BatchIsSharedEvenly) {
  auto config = parse_config<ExperimentConfig>(kMinimal, "x.yaml", {"mesh.data=3"});
  EXPECT_THAT(message_of([&] { check(config, 3); }), AllOf(HasSubstr("train.batch"), HasSubstr("mesh.data")));
}

TEST(SameRun, TellsWhatDiffersAndAllowsWhatMay) {
  const std::string before = dump_config(parse_config<ExperimentConfig>(kMinimal, "x.yaml"));
  const auto with = [](const std::string& change) {
    return dump_config(parse_config<ExperimentConfig>(kMinimal, "x.yaml", {change}));
  };
  EXPECT_NO_THROW(check_same_run(before, with("train.steps=5"), "last.h5"));
  EXPECT_NO_THROW(check_same_run(before, with("evaluate.max_examples=5"), "last.h5"));
  EXPECT_NO_THROW(check_same_run(before, with("model.threads=5"), "last.h5"));
  EXPECT_THAT(
      message_of([&] { check_same_run(before, with("train.batch=16"), "last.h5"); }),
      AllOf(HasSubstr("last.h5"), HasSubstr("train.batch was 32 and is now 16"), Not(HasSubstr("steps"))));
  EXPECT_THAT(message_of([&] { check_same_run(before, with("method.length=5"), "last.h5"); }),
              HasSubstr("method.length"));
  // Scores on other rows or of another kind cannot be compared with those that were the best so far.
  EXPECT_NO_THROW(check_same_scoring(before, with("train.steps=5"), "last.h5"));
  for (const auto* const text : {"evaluate.max_examples=5", "text.dev_rows=5", "evaluate.answers=rank"})
    EXPECT_THAT(message_of([&] { check_same_scoring(before, with(text), "last.h5"); }),
                AllOf(HasSubstr("last.h5"), HasSubstr(" was ")));
}

TEST(SameRun, IsNoLongerOrShorterWhereTheRateFallsToTheEnd) {
  const auto with = [](const std::string& schedule, int steps) {
    return dump_config(parse_config<ExperimentConfig>(
        kMinimal, "x.yaml", {"optimizer.schedule=" + schedule, fmt::format("train.steps={}", steps)}));
  };
  EXPECT_NO_THROW(check_same_run(with("constant", 5), with("constant", 9), "last.h5"));
  EXPECT_NO_THROW(check_same_run(with("inverse_square_root", 5), with("inverse_square_root", 9), "last.h5"));
  EXPECT_THAT(message_of([&] { check_same_run(with("linear", 5), with("linear", 9), "last.h5"); }),
              HasSubstr("train.steps was 5 and is now 9"));
}

RunRecord record(const std::string& name, std::int64_t trained, double dev, double test) {
  RunRecord out;
  out.name = name;
  out.status = "finished";
  out.base_parameters = 1000000;
  out.trained_parameters = trained;
  out.seconds = 61.4;
  out.scores["validation"] = {{{"accuracy", dev}}, "accuracy", 8, 1, 0, 62.5};
  out.scores["test"] = {{{"accuracy", test}}, "accuracy", 8, 0, 0, {}};
  return out;
}

TEST(RunRecord, GoesToAFileAndBack) {
  const auto path = (std::filesystem::temp_directory_path() / "trimtab-record.json").string();
  save_record(record("a", 512, 75.5, 70.25), path);
  const auto back = load_record(path);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->trained_parameters, 512);
  EXPECT_EQ(back->scores.at("test").main_value(), 70.25);
  EXPECT_EQ(back->scores.at("validation").invalid, 1);
  EXPECT_EQ(back->scores.at("validation").majority, 62.5);
  EXPECT_EQ(back->scores.at("test").majority, std::nullopt);
  std::ofstream(path) << "{\"name\": 3";
  EXPECT_THAT(message_of([&] { load_record(path); }),
              AllOf(HasSubstr("trimtab-record.json"), HasSubstr("move this file away")));
  std::filesystem::remove(path);
  EXPECT_FALSE(load_record(path));
}

TEST(RunState, IsWhatTheFolderHolds) {
  const std::string folder = ::testing::TempDir() + "trimtab-state";
  auto config = parse_config<ExperimentConfig>(kMinimal, "x.yaml");
  config.output = folder;
  EXPECT_EQ(name_of(state_of(config)), "not begun");
  {
    const auto lock = try_lock_run(folder);
    EXPECT_EQ(name_of(state_of(config)), "running");
  }
  write_file_atomically(RunFolder(folder).config(), dump_config(config));
  EXPECT_EQ(name_of(state_of(config)), "interrupted");
  RunRecord stored = record("a", 512, 75.5, 70.25);
  const auto state_as = [&](const std::string& status) {
    stored.status = status;
    save_record(stored, RunFolder(folder).record());
    return std::string(name_of(state_of(config)));
  };
  EXPECT_EQ(state_as("running"), "interrupted");
  EXPECT_EQ(state_as("failed"), "failed");
  EXPECT_EQ(state_as("finished"), "finished");
  EXPECT_TRUE(is_finished(config));
  config.train.steps = 5;
  EXPECT_EQ(state_as("finished"), "to go on");
  config.train.seed = 5;
  EXPECT_EQ(state_as("finished"), "other settings");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace trimtab
