// SPDX-License-Identifier: Apache-2.0
//
// Configs, records, tables and pictures: all that needs no model.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "experiments/comparison.h"
#include "experiments/memory_plan.h"
#include "experiments/plot.h"
#include "experiments/pretrain_config.h"
#include "experiments/run_record.h"
#include "experiments/same_run.h"
#include "models/t5/t5_model.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

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
}

TEST(MemoryPlan, WeightsCountOnceFrozenAndMoreWhenTrained) {
  T5Config config;
  MemoryPlan plan;
  T5StageRange range = whole_model(config);
  const auto frozen = planned_bytes(config, range, plan);
  EXPECT_EQ(frozen, static_cast<std::uint64_t>(parameter_count(config)) * 4);
  plan.trains_base = true;
  EXPECT_EQ(planned_bytes(config, range, plan), 3 * frozen);
  plan.tokens = 1000;
  EXPECT_GT(planned_bytes(config, range, plan), 3 * frozen);
  EXPECT_THAT(message_of([&] { check_fits_memory(4ull << 30, 1ull << 30, plan); }),
              AllOf(HasSubstr("4.0 GiB"), HasSubstr("train.micro_batch_tokens"), HasSubstr("bfloat16")));
  EXPECT_NO_THROW(check_fits_memory(4ull << 30, 0, plan));
  plan.ranks_here = 4;
  EXPECT_NO_THROW(check_fits_memory(1ull << 30, 4ull << 30, plan));
  EXPECT_THAT(message_of([&] { check_fits_memory(2ull << 30, 4ull << 30, plan); }),
              AllOf(HasSubstr("1.0 GiB are available"), HasSubstr("4 ranks on this machine")));
}

TEST(MemoryPlan, RanksHoldTheirPart) {
  T5Config config;
  MemoryPlan plan;
  T5StageRange range = whole_model(config);
  const auto whole = planned_bytes(config, range, plan);
  plan.tensor = 2;
  EXPECT_EQ(planned_bytes(config, range, plan), whole / 2);
  plan.tensor = 1;
  range = {0, config.encoder_layers, 0, 0};
  const auto encoder = planned_bytes(config, range, plan);
  range = {config.encoder_layers, config.encoder_layers, 0, config.decoder_layers};
  const auto decoder = planned_bytes(config, range, plan);
  const auto embedding = static_cast<std::uint64_t>(config.vocab * config.d_model) * 4;
  // Both read the embedding; norms at the end of the stacks and tables of relative biases count on both.
  EXPECT_NEAR(static_cast<double>(encoder + decoder), static_cast<double>(whole + embedding),
              0.01 * static_cast<double>(whole));
}

RunRecord record(const std::string& name, std::int64_t trained, double dev, double test) {
  RunRecord out;
  out.name = name;
  out.status = "finished";
  out.base_parameters = 1000000;
  out.trained_parameters = trained;
  out.seconds = 61.4;
  out.scores["validation"] = {{{"accuracy", dev}}, "accuracy", 8, 1, 0};
  out.scores["test"] = {{{"accuracy", test}}, "accuracy", 8, 0, 0};
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
  std::ofstream(path) << "{\"name\": 3";
  EXPECT_THAT(message_of([&] { load_record(path); }), HasSubstr("trimtab-record.json"));
  std::filesystem::remove(path);
  EXPECT_FALSE(load_record(path));
}

TEST(Comparison, TableLinesUp) {
  const std::string table = comparison_table({{"prompt-20", "x", record("a", 512, 75.5, 70.25)},
                                              {"zero", "y", record("b", 0, 50, 49)},
                                              {"broken", "z", std::nullopt}},
                                             "validation");
  EXPECT_EQ(table,
            "| run       | validation |  test | trained parameters | share of the model | seconds |\n"
            "|:--------- | ----------:| -----:| ------------------:| ------------------:| -------:|\n"
            "| prompt-20 |      75.50 | 70.25 |                512 |           0.0512 % |      61 |\n"
            "| zero      |      50.00 | 49.00 |                  0 |           0.0000 % |      61 |\n"
            "| broken    |     failed |     - |                  - |                  - |       - |\n");
}

TEST(Comparison, TwoRunsOfOneNameAreRefused) {
  const auto path = (std::filesystem::temp_directory_path() / "trimtab-compare.yaml").string();
  std::ofstream(path) << "output: o\nbase: b.yaml\nruns: [{name: a}, {name: a}]\n";
  EXPECT_THAT(message_of([&] { load_comparison(path); }), HasSubstr("two are named 'a'"));
  std::ofstream(path) << "output: o\nbase: b.yaml\nruns: [{name: a}]\n";
  EXPECT_EQ(load_comparison(path).base, (std::filesystem::temp_directory_path() / "b.yaml").string());
  std::filesystem::remove(path);
}

TEST(Plot, ScriptAndDataBelongTogether) {
  Plot plot;
  plot.title = "it's";
  plot.curves = {{"a", {{0, 50}, {10, 60.5}}}, {"empty", {}}};
  plot.levels = {{"zero", 48}};
  EXPECT_EQ(plot_data(plot), "# a\n0 50\n10 60.5\n\n\n# zero\n0 48\n10 48\n");
  const std::string script = plot_script(plot, "d.dat", "p.png");
  EXPECT_THAT(script, AllOf(HasSubstr("set title 'it''s'"), HasSubstr("'d.dat' index 0 with linespoints"),
                            HasSubstr("'d.dat' index 1 with lines dt 2"), Not(HasSubstr("empty"))));
  std::string why;
  EXPECT_FALSE(draw(Plot{}, "/tmp/none", why));
  EXPECT_THAT(why, HasSubstr("nothing to draw"));
}

}  // namespace
}  // namespace trimtab
