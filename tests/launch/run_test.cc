// SPDX-License-Identifier: Apache-2.0
//
// Whole runs of the program on a tiny model: what they leave, and that stopping them changes nothing.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/run_lock.h"
#include "experiments/trainer.h"
#include "launch/program.h"
#include "runtime/check.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Train, LeavesARecordAndCanBeScoredAndAsked) {
  const Workshop shop;
  const Outcome outcome = run_program({"train", shop.experiment()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string record = shop.read("run/record.json");
  EXPECT_THAT(record, AllOf(HasSubstr("\"status\": \"finished\""), HasSubstr("\"trained_parameters\": 64")));
  EXPECT_THAT(shop.read("run/metrics.jsonl"),
              AllOf(HasSubstr("\"kind\":\"validation\""), HasSubstr("\"gradient_norm\""),
                    HasSubstr("\"update_ratio\"")));
  EXPECT_THAT(shop.read("run/config.yaml"), HasSubstr("learning_rate: 0.3"));

  const Outcome score = run_program({"evaluate", shop.experiment(), "--predictions", shop.path("out.jsonl")});
  EXPECT_EQ(score.code, 0) << score.err;
  EXPECT_THAT(score.out, AllOf(HasSubstr("accuracy"), HasSubstr("examples             8")));
  EXPECT_THAT(shop.read("out.jsonl"), HasSubstr("\"target\":\"good\""));

  const Outcome answers = run_program({"predict", shop.experiment()}, "a song\n{\"input\": \"rain\"}\n");
  EXPECT_EQ(answers.code, 0) << answers.err;
  EXPECT_EQ(std::ranges::count(answers.out, '\n'), 2);
  EXPECT_THAT(answers.err, Not(HasSubstr("were cut")));

  const std::string length = "text.max_input=4";
  const Outcome cut =
      run_program({"predict", shop.experiment(), "--set", length}, "a song of the rain\nrain\n");
  EXPECT_EQ(cut.code, 0) << cut.err;
  EXPECT_THAT(cut.err, HasSubstr("1 of 2 inputs are longer than text.max_input = 4 and were cut"));
}

TEST(Train, ScoresOtherTasksWithoutTrainingOnThem) {
  const Workshop shop;
  const std::string task = "task: {name: jsonl, train: " + shop.path("train.jsonl") +
                           ", validation: " + shop.path("dev.jsonl") + ", labels: [good, bad]}";
  const auto transfer = [&](const std::string& entries) {
    return std::vector<std::string>{"train", shop.experiment(), "--set",
                                    "evaluate.transfer=[" + entries + "]"};
  };
  const Outcome run =
      run_program(transfer("{name: same, " + task + "}, {name: seen, split: train, " + task + "}"));
  ASSERT_EQ(run.code, 0) << run.err;
  const auto scores = nlohmann::json::parse(shop.read("run/record.json"))["scores"];
  EXPECT_EQ(scores["same"], scores["validation"]);
  EXPECT_EQ(scores["seen"]["examples"], 16);
  const Outcome report = run_program({"report", shop.path("run"), "--no-pictures"});
  EXPECT_THAT(report.out, AllOf(HasSubstr("same accuracy"), HasSubstr("seen accuracy")));
  const Outcome again = run_program({"evaluate", shop.path("run/config.yaml"), "--split", "seen"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("examples             16"));

  const auto refusal = [&](const std::string& entries) {
    const Outcome outcome = run_program(transfer(entries));
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(refusal("{name: validation, " + task + "}"), HasSubstr("'validation' is already taken"));
  EXPECT_THAT(refusal("{name: a, " + task + "}, {name: a, " + task + "}"), HasSubstr("'a' is already taken"));
  EXPECT_THAT(refusal("{name: a, split: dev, " + task + "}"), HasSubstr("has no split 'dev' but"));
  EXPECT_THAT(refusal("{name: a, task: {name: jsnl}}"), HasSubstr("jsonl"));
  // What was trained says good and bad.
  const std::string mrpc = "{name: a, task: {name: glue/mrpc, path: " + shop.path(".") + ", replace: ";
  EXPECT_THAT(refusal(mrpc + "[godo, equivalent]}}"),
              AllOf(HasSubstr("it would read not_godo, godo"), HasSubstr("what was trained says good, bad")));
}

TEST(Train, KilledAndResumedGivesTheSameBytes) {
  const Workshop shop;
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  const std::string last = shop.read("run/last.h5"), best = shop.read("run/best.h5");
  for (const int lines : {2, 4, 6, 7}) {
    std::filesystem::remove_all(shop.path("run"));
    const Outcome killed = run_and_signal({"train", shop.experiment()}, lines, SIGKILL);
    EXPECT_EQ(killed.code, 128 + SIGKILL);
    const Outcome resumed = run_program({"train", shop.experiment()});
    EXPECT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_TRUE(shop.read("run/last.h5") == last) << "killed after " << lines << " lines";
    EXPECT_TRUE(shop.read("run/best.h5") == best) << "killed after " << lines << " lines";
    const std::string metrics = shop.read("run/metrics.jsonl");
    for (int step = 1; step <= 6; ++step) {
      const std::string line = "{\"step\":" + std::to_string(step) + ",\"kind\":\"train\"";
      ASSERT_NE(metrics.find(line), std::string::npos) << line;
      EXPECT_EQ(metrics.find(line), metrics.rfind(line)) << "said twice: " << line;
    }
  }
}

TEST(Train, StoppedBySignalSavesAndSaysSo) {
  const Workshop shop;
  const std::vector<std::string> arguments = {"train", shop.experiment(),         "--set", "train.steps=4000",
                                              "--set", "train.checkpoint_every=0"};
  const Outcome stopped = run_and_signal(arguments, 6, SIGTERM);
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the same command goes on"));
  EXPECT_TRUE(std::filesystem::exists(shop.path("run/last.h5")));
  EXPECT_THAT(shop.read("run/record.json"), HasSubstr("\"status\": \"interrupted\""));
}

TEST(Train, ModelTuningAndMethodsThatTrainNothing) {
  const Workshop shop;
  const Outcome tuned = run_program({"train", shop.experiment(), "--set", "method={name: model_tuning}",
                                     "--set", "output=" + shop.path("tuned")});
  EXPECT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_THAT(shop.read("tuned/config.yaml"), HasSubstr("learning_rate: 0.001"));
  const Outcome zero = run_program({"train", shop.experiment(), "--set", "method={name: zero_shot}", "--set",
                                    "output=" + shop.path("zero")});
  EXPECT_EQ(zero.code, 0) << zero.err;
  EXPECT_THAT(shop.read("zero/record.json"), HasSubstr("\"trained_parameters\": 0"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("zero/last.h5")));
}

// Prompt tuning with two seeds, and zero-shot.
std::string comparison(const Workshop& shop) {
  return shop.write("compare.yaml", "name: tiny\noutput: " + shop.path("all") +
                                        "\nbase: experiment.yaml\nruns:\n"
                                        "  - {name: zero, set: [method.name=zero_shot]}\n"
                                        "grid: {train.seed: [1, 2]}\n");
}

TEST(Compare, OneTableOnePictureAndNothingTwice) {
  const Workshop shop;
  const std::string file = comparison(shop);
  const Outcome first = run_program({"compare", file});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, AllOf(HasSubstr("| zero |    1 |"), HasSubstr("| -    |    2 |"), HasSubstr(" ± "),
                               HasSubstr("majority class"), HasSubstr("share of the model")));
  EXPECT_EQ(shop.read("all/table.md"), first.out);
  EXPECT_TRUE(std::filesystem::exists(shop.path("all/curves.gp")));
  const std::string record = shop.read("all/seed=2/record.json");
  EXPECT_THAT(record, HasSubstr("\"majority_class\": 50.0"));
  const Outcome second = run_program({"compare", file});
  EXPECT_EQ(second.code, 0);
  EXPECT_EQ(second.out, first.out);
  EXPECT_THAT(second.err, HasSubstr("tiny/seed=2: finished before"));
  EXPECT_EQ(shop.read("all/seed=2/record.json"), record);
  // Another length of the run is no reason to begin anew.
  const Outcome longer = run_program({"compare", file, "--set", "train.steps=8"});
  EXPECT_THAT(longer.err, HasSubstr("going on after step 6"));
}

TEST(Compare, RunsOneByNumberOrNameAndListsThem) {
  const Workshop shop;
  const std::string file = comparison(shop);
  const Outcome second = run_program({"compare", file, "--run", "2"});
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(second.out, "");
  EXPECT_FALSE(std::filesystem::exists(shop.path("all/zero")));
  const Outcome list = run_program({"compare", file, "--list"});
  EXPECT_EQ(list.code, 0) << list.err;
  EXPECT_EQ(list.out, "   1  zero    not begun\n   2  seed=1  finished\n   3  seed=2  not begun\n");
  EXPECT_EQ(run_program({"compare", file, "--run", "zero"}).code, 0);
  const Outcome none = run_program({"compare", file, "--run", "4"});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("4 is not from 1 to 3"));
  EXPECT_THAT(run_program({"compare", file, "--list", "--set", "train.batch=8"}).out,
              AllOf(HasSubstr("zero    other settings"), HasSubstr("seed=2  not begun")));
  // An override of what an axis sets: one run is as good as another, all of them are a mistake.
  const std::vector<std::string> one_seed = {"compare", file, "--set", "train.seed=5"};
  const Outcome all = run_program(one_seed);
  EXPECT_EQ(all.code, 2);
  EXPECT_THAT(all.err, HasSubstr("are the same experiment"));
  std::vector<std::string> last = one_seed;
  last.insert(last.end(), {"--run", "3"});
  EXPECT_EQ(run_program(last).code, 0);
}

// Also where the runs before it would take days.
TEST(Compare, ARunThatCannotWorkIsNamedBeforeAnyBegins) {
  const Workshop shop;
  const std::string file = shop.write(
      "compare.yaml", "name: tiny\noutput: " + shop.path("all") +
                          "\nbase: experiment.yaml\nruns:\n"
                          "  - {name: good}\n"
                          "  - {name: lora, set: ['method={name: lora, targets: [qq]}']}\n"
                          "  - {name: file, set: [method.init=file, method.init_file=none.npy]}\n");
  for (const int ranks : {1, 2}) {
    const std::vector<std::string> arguments = {"compare", file, "--set", fmt::format("mesh.data={}", ranks)};
    const Outcome refused = ranks == 1 ? run_program(arguments) : run_on_ranks(ranks, arguments);
    EXPECT_EQ(refused.code, 2) << refused.err;
    EXPECT_THAT(refused.err, AllOf(HasSubstr("the run lora: "), HasSubstr("is called 'qq'"),
                                   Not(HasSubstr("none.npy")), Not(HasSubstr("the run good"))));
    EXPECT_FALSE(std::filesystem::exists(shop.path("all")));
  }
  EXPECT_THAT(run_program({"compare", file, "--run", "3"}).err,
              AllOf(HasSubstr("the run file: "), HasSubstr("none.npy")));
  // A run that is told to stay away from another one's folder, and one that needs nothing more.
  ASSERT_EQ(run_program({"compare", file, "--run", "good"}).code, 0);
  EXPECT_THAT(run_program({"compare", file, "--set", "train.batch=8"}).err,
              AllOf(HasSubstr("the run good: "), HasSubstr("train.batch was 4 and is now 8")));
  std::filesystem::remove(shop.model());
  EXPECT_EQ(run_program({"compare", file, "--run", "good"}).code, 0);
}

TEST(Compare, GoesOnWhereItWasKilled) {
  const Workshop shop;
  const std::string file = comparison(shop);
  EXPECT_EQ(run_and_signal({"compare", file, "--run", "2"}, 5, SIGKILL).code, 128 + SIGKILL);
  EXPECT_THAT(run_program({"compare", file, "--list"}).out, HasSubstr("seed=1  interrupted"));
  EXPECT_EQ(run_program({"compare", file}).code, 0);
  EXPECT_THAT(run_program({"compare", file, "--list"}).out, HasSubstr("seed=1  finished"));
}

// Two processes on one file share its runs: each is made once, whoever comes first.
TEST(Compare, TwoProcessesShareTheRuns) {
  const Workshop shop;
  const std::string file = comparison(shop);
  const std::vector<Outcome> both = run_side_by_side({"compare", file}, {"compare", file});
  int trained = 0;
  for (const Outcome& outcome : both) {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (const char* name : {"tiny/zero: ", "tiny/seed=1: ", "tiny/seed=2: "})
      trained += outcome.err.find(std::string(name) + "prompt_tuning trains") != std::string::npos ||
                 outcome.err.find(std::string(name) + "zero_shot trains") != std::string::npos;
  }
  EXPECT_EQ(trained, 3);
  EXPECT_THAT(run_program({"compare", file, "--list"}).out, Not(HasSubstr("interrupted")));
}

TEST(Compare, ARunThatIsBeingMadeIsLeftAlone) {
  const Workshop shop;
  const std::string file = comparison(shop);
  const auto lock = try_lock_run(shop.path("all/seed=1"));
  ASSERT_TRUE(lock);
  const Outcome one = run_program({"compare", file, "--run", "seed=1"});
  EXPECT_EQ(one.code, 69);
  EXPECT_THAT(one.err, HasSubstr("tiny/seed=1: is being run by process "));
  const Outcome all = run_program({"compare", file});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_THAT(all.err, HasSubstr("tiny/seed=1: is being run by process "));
  EXPECT_TRUE(std::filesystem::exists(shop.path("all/seed=2/record.json")));
  EXPECT_FALSE(std::filesystem::exists(shop.path("all/seed=1/record.json")));
  const auto run = try_lock_run(shop.path("run"));
  const Outcome train = run_program({"train", shop.experiment()});
  EXPECT_EQ(train.code, 69);
  EXPECT_THAT(train.err, HasSubstr("is being run by process "));
}

TEST(Report, CollatesWhatIsThere) {
  const Workshop shop;
  ASSERT_EQ(run_program({"compare", comparison(shop)}).code, 0);
  std::filesystem::remove(shop.path("all/curves.gp"));
  const Outcome text = run_program({"report", shop.path("all")});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("validation accuracy"), HasSubstr("zero ")));
  EXPECT_TRUE(std::filesystem::exists(shop.path("all/curves.gp")));
  const Outcome csv = run_program(
      {"report", shop.path("all/seed=1"), shop.path("all/seed=2"), "--format", "csv", "--no-pictures"});
  EXPECT_EQ(csv.code, 0) << csv.err;
  EXPECT_THAT(csv.out, HasSubstr("method.name,metric,runs,validation_mean"));
  EXPECT_THAT(csv.out, HasSubstr("\nprompt_tuning,accuracy,2,"));
  EXPECT_EQ(run_program({"report", shop.path("none")}).code, 2);
  EXPECT_EQ(run_program({"report", shop.path("all"), "--format", "html"}).code, 2);
}

TEST(Pretrain, KilledAndResumedGivesTheSameModel) {
  const Workshop shop;
  const std::string recipe = shop.write(
      "recipe.yaml",
      "name: tiny\noutput: " + shop.path("pre") + "\nmodel: {vocabulary: " + shop.vocabulary() +
          ", d_model: 16, d_kv: 4, d_ff: 32, heads: 2, encoder_layers: 1, decoder_layers: 1, threads: 1}\n"
          "data: {corpora: [{path: " +
          shop.path("corpus.txt") +
          "}], input_length: 32, validation_percent: 10}\n"
          "train: {steps: 6, batch: 4, checkpoint_every: 2, log_seconds: 0}\n"
          "optimizer: {learning_rate: 0.01}\nexport: {every: 4}\n");
  const Outcome outcome = run_program({"pretrain", recipe});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("held-out loss"));
  const Outcome shorter =
      run_program({"pretrain", recipe, "--set", "train.steps=4", "--set", "output=" + shop.path("four")});
  ASSERT_EQ(shorter.code, 0) << shorter.err;
  EXPECT_TRUE(shop.read("pre/model-4.h5") == shop.read("four/model.h5"));
  const std::string model = shop.read("pre/model.h5"), last = shop.read("pre/last.h5");
  std::filesystem::remove_all(shop.path("pre"));
  EXPECT_EQ(run_and_signal({"pretrain", recipe}, 4, SIGKILL).code, 128 + SIGKILL);
  EXPECT_EQ(run_program({"pretrain", recipe}).code, 0);
  EXPECT_TRUE(shop.read("pre/model.h5") == model);
  EXPECT_TRUE(shop.read("pre/last.h5") == last);

  const Outcome use =
      run_program({"train", shop.experiment(), "--set", "model.weights=" + shop.path("pre/model.h5")});
  EXPECT_EQ(use.code, 0) << use.err;
}

TEST(Pretrain, LeavesAStoredRunAlone) {
  const Workshop shop;
  const std::string recipe =
      shop.write("recipe.yaml", "output: " + shop.path("pre") + "\nmodel: {vocabulary: " + shop.vocabulary() +
                                    ", d_model: 16, d_kv: 4, d_ff: 32, heads: 2, encoder_layers: 1, "
                                    "decoder_layers: 1, threads: 1}\n"
                                    "data: {corpora: [{path: " +
                                    shop.path("corpus.txt") +
                                    "}], input_length: 32}\n"
                                    "train: {steps: 2, batch: 4, checkpoint_every: 2, log_seconds: 0}\n");
  ASSERT_EQ(run_program({"pretrain", recipe}).code, 0);
  const std::string config = shop.read("pre/config.yaml");
  const Outcome other = run_program({"pretrain", recipe, "--set", "train.batch=8"});
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("train.batch was 4 and is now 8"));
  EXPECT_EQ(run_program({"pretrain", recipe, "--dry-run", "--set", "train.steps=9"}).code, 0);
  EXPECT_EQ(shop.read("pre/config.yaml"), config);
  const Outcome large = run_program({"pretrain", recipe, "--set", "model.d_model=1000000", "--set",
                                     "model.d_ff=1000000", "--set", "output=" + shop.path("large")});
  EXPECT_EQ(large.code, 2);
  EXPECT_THAT(large.err, AllOf(HasSubstr("of memory"), HasSubstr("lower model.d_model")));
  const auto lock = try_lock_run(shop.path("pre"));
  ASSERT_TRUE(lock);
  const Outcome second = run_program({"pretrain", recipe});
  EXPECT_EQ(second.code, 69);
  EXPECT_THAT(second.err, HasSubstr("is being run by process "));
}

// As a wild write would do it.
TEST(Train, AFrozenBaseThatChangesFailsTheRun) {
  const Workshop shop;
  World world = solo_world();
  std::ostringstream lines;
  Console console{lines};
  Experiment experiment(load_config<ExperimentConfig>(shop.experiment()), world, TrainingData::kLoad);
  Trainer trainer(experiment, console);
  int step = 0;
  const auto spoil = [&] {
    if (++step == 4) experiment.stage().base_weights().front().value.data_ptr<float>()[0] += 0.25F;
    return false;
  };
  EXPECT_THAT([&] { trainer.run(spoil); },
              ::testing::ThrowsMessage<Error>(HasSubstr("the frozen base model is not what it was")));
  EXPECT_THAT(shop.read("run/record.json"), Not(HasSubstr("\"finished\"")));
}

// Killed between writing the best checkpoint and the state that names it.
TEST(Train, TheBestCheckpointIsTheOneThatTheRecordNames) {
  const Workshop shop;
  const auto train = [&](int steps) {
    return run_program({"train", shop.experiment(), "--set", "train.journal=off", "--set",
                        "train.steps=" + std::to_string(steps)});
  };
  ASSERT_EQ(train(2).code, 0);
  const std::string early = shop.read("run/last.h5");
  ASSERT_EQ(train(6).code, 0);
  const auto best_step = [&] {
    return nlohmann::json::parse(shop.read("run/record.json"))["best_step"].get<int>();
  };
  const int best = best_step();
  const std::string best_file = shop.read("run/best.h5");
  shop.write("run/last.h5", early);
  const Outcome again = train(6);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("going on after step 2"));
  EXPECT_EQ(best_step(), best);
  EXPECT_TRUE(shop.read("run/best.h5") == best_file);
}

TEST(Files, PromptsGoOutAndAreShown) {
  const Workshop shop;
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  EXPECT_EQ(run_program({"export", shop.path("run/best.h5"), shop.path("prompt.npy")}).code, 0);
  const Outcome shown = run_program({"inspect", shop.path("prompt.npy"), "--weights", shop.model()});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("[4, 16]"), HasSubstr("norm of a row"), HasSubstr("   3  ")));
  // The trained one knows its task, its vocabulary and how far it moved.
  const Outcome trained = run_program(
      {"inspect", shop.path("run/best.h5"), "--weights", shop.model(), "--picture", shop.path("prompt.svg")});
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(trained.out, AllOf(HasSubstr("moved by"), HasSubstr("labels among the 5 nearest"),
                                 HasSubstr("good: rows 0"), HasSubstr("; highest in row 0, place ")));
  EXPECT_THAT(shop.read("prompt.dat"), HasSubstr("# row norm cosine\n0 "));
  const Outcome compared = run_program({"inspect", shop.path("prompt.npy"), shop.path("run/best.h5"),
                                        "--json", "--weights", shop.model(), "--labels", "good"});
  EXPECT_EQ(compared.code, 0) << compared.err;
  const auto json = nlohmann::json::parse(compared.out);
  EXPECT_NEAR(json["likeness"]["averaged"][0][1].get<double>(), 1, 1e-6);
  EXPECT_EQ(json["prompts"][0]["labels"][0]["label"], "good");
  EXPECT_EQ(json["prompts"][0]["neighbours"][3].size(), 5U);
  const Outcome ending = run_program({"inspect", shop.path("prompt.npy"), "--picture", "prompt.gif"});
  EXPECT_EQ(ending.code, 2);
  EXPECT_THAT(ending.err, HasSubstr("prompt.gif ends neither in .png nor in .svg"));
  EXPECT_EQ(run_program({"export", shop.model(), shop.path("hf")}).code, 0);
  EXPECT_EQ(run_program({"import", shop.path("hf"), shop.path("again.h5")}).code, 0);
  EXPECT_EQ(run_program({"doctor"}).code, 0);
}

TEST(Plan, CountsParametersOfTheModelAndOfThePaper) {
  const Workshop shop;
  const Outcome counted =
      run_program({"plan", "--parameters", "--methods", "prompt_tuning", "--lengths", "4,100", "--format",
                   "csv", "--picture", shop.path("counts.png"), shop.model(), "xxl"});
  EXPECT_EQ(counted.code, 0) << counted.err;
  EXPECT_THAT(counted.out,
              AllOf(HasSubstr("prompt_tuning,length 4,64,"),  // as the record of a run says
                    HasSubstr("T5 1.1 xxl,prompt_tuning,length 100,409600,11135741952,0.00368")));
  EXPECT_THAT(shop.read("counts.dat"), HasSubstr("# prompt tuning\n"));
  const Outcome nothing = run_program({"plan"});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.err, HasSubstr("--parameters"));
  const Outcome zero = run_program({"plan", "--parameters", "--lengths", "0"});
  EXPECT_EQ(zero.code, 2);
  EXPECT_THAT(zero.err, HasSubstr("--lengths: 0 is less than 1"));
}

}  // namespace
}  // namespace trimtab::testing
