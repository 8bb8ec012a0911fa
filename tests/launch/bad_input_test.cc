// SPDX-License-Identifier: Apache-2.0
//
// What the program says to input that cannot work: the message, the exit code, and nothing half-done.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class BadInput : public ::testing::Test {
 protected:
  Outcome train(std::vector<std::string> overrides) {
    std::vector<std::string> arguments = {"train", shop_.experiment()};
    for (std::string& one : overrides) {
      arguments.emplace_back("--set");
      arguments.push_back(std::move(one));
    }
    return run_program(arguments);
  }
  void append(const std::string& text) {
    shop_.write("experiment.yaml", shop_.read("experiment.yaml") + text);
  }

  Workshop shop_;
};

TEST_F(BadInput, CountsBelowTheirLeast) {
  const std::string out = shop_.path("new.model");
  const std::vector<std::string> command = {"vocabulary", shop_.path("corpus.txt"), "--out", out};
  const auto refused = [&](std::vector<std::string> count, const std::string& what) {
    count.insert(count.begin(), command.begin(), command.end());
    const Outcome outcome = run_program(count);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_FALSE(std::filesystem::exists(out));
  };
  refused({"--size", "3"}, "--size: 3 is less than 4");
  refused({"--max-lines", "0"}, "--max-lines: 0 is less than 1");
  EXPECT_THAT(run_program({"inspect", shop_.model(), "--rows", "-1"}).err,
              HasSubstr("--rows: -1 is less than 0"));
}

TEST_F(BadInput, AVocabularyIsNotWrittenOverAnother) {
  const std::vector<std::string> command = {"vocabulary", shop_.path("corpus.txt"),        "--size", "120",
                                            "--out",      shop_.write("new.model", "mine")};
  const Outcome refused = run_program(command);
  EXPECT_EQ(refused.code, 2) << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("new.model: is there already; name another path, or add --overwrite"));
  EXPECT_EQ(shop_.read("new.model"), "mine");
  std::vector<std::string> again = command;
  again.emplace_back("--overwrite");
  EXPECT_EQ(run_program(again).code, 0);
  EXPECT_NE(shop_.read("new.model"), "mine");
}

TEST_F(BadInput, UnknownKeyNamesTheNearest) {
  const Outcome outcome = train({"train.stepps=3"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("train.stepps"), HasSubstr("steps")));
}

// What headers of files tell is told before there is a folder.
TEST_F(BadInput, WhatCannotWorkLeavesNoFolder) {
  const std::string out = shop_.path("never");
  const auto refused = [&](std::vector<std::string> overrides, int code, const std::string& what) {
    overrides.push_back("output=" + out);
    const Outcome outcome = train(overrides);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_FALSE(std::filesystem::exists(out)) << what;
  };
  refused({"text.template=no slot"}, 2, "should contain {input} once");
  refused({"text.template='{premise} {input}'"}, 2, "{premise} stands for nothing");
  refused({"text.template='{input} {shots}'"}, 2, "set text.shots");
  refused({"method={name: hard_prompt, text: '{input} {inputt}'}"}, 2, "did you mean 'input'?");
  refused({"method={name: lora, targets: [qq]}"}, 2, "no linear map of this model is called 'qq'");
  refused({"method={name: ia3, feed_forward: [wii]}"}, 2, "method.feed_forward");
  refused({"method.init=file", "method.init_file=" + shop_.path("none.npy")}, 2, "none.npy");
  ASSERT_EQ(train({"method.length=5"}).code, 0);
  refused({"method.init=file", "method.init_file=" + shop_.path("run/best.h5")}, 2,
          "holds an array of shape [5, 16], but length and this model want [4, 16]");
  refused({"model.weights=" + shop_.path("none.h5")}, 2, "none.h5");
}

TEST_F(BadInput, NothingTrainedIsFoundAndNoFolderMade) {
  for (const char* verb : {"predict", "evaluate"}) {
    const Outcome outcome =
        run_program({verb, shop_.experiment(), "--set", "output=" + shop_.path("mistyped")});
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_THAT(outcome.err,
                AllOf(HasSubstr("mistyped/best.h5: there is no such file"), HasSubstr("--checkpoint")));
    EXPECT_FALSE(std::filesystem::exists(shop_.path("mistyped")));
  }
}

TEST_F(BadInput, DuplicateKeyNamesTheLine) {
  append("name: again\n");
  const Outcome outcome = train({});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("experiment.yaml:12"), HasSubstr("name")));
}

TEST_F(BadInput, NumberWhereTextIsWanted) {
  const Outcome outcome = train({"model.weights=12"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("model.weights"), HasSubstr("12"), HasSubstr("text")));
}

TEST_F(BadInput, MissingWeights) {
  const Outcome outcome = train({"model.weights=" + shop_.path("none.h5")});
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("none.h5"));
}

TEST_F(BadInput, TruncatedWeights) {
  std::filesystem::resize_file(shop_.model(), std::filesystem::file_size(shop_.model()) / 2);
  const Outcome outcome = train({});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("model.h5"));
}

TEST_F(BadInput, EmptyDataSet) {
  shop_.write("train.jsonl", "");
  const Outcome outcome = train({});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("train.jsonl"));
}

TEST_F(BadInput, TestFileThatWasNamedAndIsNotThereOrBroken) {
  const Outcome missing = train({"task.test=" + shop_.path("none.jsonl")});
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("task.test: there is no file"), HasSubstr("none.jsonl")));
  const Outcome broken = train({"task.test=" + shop_.write("broken.jsonl", "{\"input\": \n")});
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.err, AllOf(HasSubstr("broken.jsonl:1"), Not(HasSubstr("train "))));
}

TEST_F(BadInput, RowsWithoutInputAreCounted) {
  shop_.write("train.jsonl", shop_.read("train.jsonl") + "{\"input\": \" \", \"target\": \"good\"}\n");
  EXPECT_THAT(train({}).err, HasSubstr("1 of 17 training inputs are empty"));
}

TEST_F(BadInput, SplitThatIsScoredAtTheEndIsReadAtTheStart) {
  shop_.write("dev.jsonl", "{\"input\": \"a song\"\n");
  const Outcome outcome = train({"train.evaluate_every=0"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("dev.jsonl:1"));
  EXPECT_FALSE(std::filesystem::exists(shop_.path("run/metrics.jsonl"))) << "no step was made";
}

TEST_F(BadInput, LabelThatIsNotInTheList) {
  shop_.write("train.jsonl",
              "{\"input\": \"a song\", \"target\": \"good\"}\n{\"input\": \"rain\", \"target\": \"grey\"}\n");
  const Outcome outcome = train({});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("train.jsonl:2"), HasSubstr("grey"), HasSubstr("good")));
}

TEST_F(BadInput, RowThatIsNoJson) {
  shop_.write("dev.jsonl", "{\"input\": \"a song\", \"target\": \"good\"}\n{\"input\": \"rain\", \"tar\n");
  const Outcome outcome = train({});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("dev.jsonl:2"));
}

TEST_F(BadInput, PromptWithoutPositions) {
  const Outcome outcome = train({"method.length=0"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("method.length"), HasSubstr("from 1 to 4096")));
}

TEST_F(BadInput, AbsurdPrompt) {
  EXPECT_THAT(train({"method.length=100000"}).err, HasSubstr("method.length"));
  const Outcome outcome = train({"method.length=4000"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("method.length"), HasSubstr("text.max_input")));
}

TEST_F(BadInput, SizesBeyondSense) {
  EXPECT_THAT(train({"model.threads=100000"}).err, HasSubstr("model.threads"));
  EXPECT_THAT(train({"train.batch=1000000000"}).err, HasSubstr("train.batch"));
}

TEST_F(BadInput, OutputThatCannotBeWritten) {
  shop_.write("file", "");
  const Outcome outcome = train({"output=" + shop_.path("file/run")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("file/run"));
}

TEST_F(BadInput, MoreRanksThanThereAre) {
  const Outcome outcome = train({"mesh.tensor=2"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("mesh"));
}

TEST_F(BadInput, RowThatIsLongerThanTheBudget) {
  const Outcome outcome = train({"train.micro_batch_tokens=8"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("8"));
}

TEST_F(BadInput, LabelThatIsCut) {
  const Outcome outcome = train({"text.max_target=4", "task.labels=[good, the worst night of winter]"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("the worst night of winter"));
}

TEST_F(BadInput, CheckpointWithAFlippedByte) {
  ASSERT_EQ(train({}).code, 0);
  std::string bytes = shop_.read("run/last.h5");
  // Away from its run folder, of which inspect would tell more.
  shop_.write("damaged.h5", bytes);
  const Outcome good = run_program({"inspect", shop_.path("damaged.h5")});
  EXPECT_EQ(good.code, 0) << good.err;
  int refused = 0, with_remedy = 0, silent = 0;
  for (std::size_t place = 0; place < bytes.size(); place += 97) {
    std::string damaged = bytes;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x10);
    shop_.write("damaged.h5", damaged);
    const Outcome outcome = run_program({"inspect", shop_.path("damaged.h5")});
    if (outcome.code != 0) {
      ++refused;
      EXPECT_THAT(outcome.err, HasSubstr("damaged.h5"));
      with_remedy += outcome.err.find("take another copy") != std::string::npos ? 1 : 0;
    } else if (outcome.out != good.out) {
      ++silent;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(with_remedy, 0);
  EXPECT_EQ(silent, 0);
}

// Found by everything that reads the weights, not taken for another model.
TEST_F(BadInput, BaseModelWithAFlippedByte) {
  std::string bytes = shop_.read("model.h5"), ones;
  for (int i = 0; i < 16; ++i) ones += std::string("\0\0\x80\x3f", 4);
  const std::size_t norm = bytes.find(ones);  // a norm's 16 float32
  ASSERT_NE(norm, std::string::npos);
  bytes[norm + 6] ^= 0x10;
  shop_.write("damaged.h5", bytes);
  const Outcome trained = train({"model.weights=" + shop_.path("damaged.h5")});
  EXPECT_EQ(trained.code, 1) << trained.out;
  EXPECT_THAT(trained.err, AllOf(HasSubstr("damaged.h5"), HasSubstr("norm"), HasSubstr("is damaged")));
  EXPECT_FALSE(std::filesystem::exists(shop_.path("run/last.h5")));
  const Outcome imported = run_program({"import", shop_.path("damaged.h5"), shop_.path("copy.h5")});
  EXPECT_EQ(imported.code, 1);
  EXPECT_THAT(imported.err, HasSubstr("damaged.h5"));
  EXPECT_FALSE(std::filesystem::exists(shop_.path("copy.h5")));
}

TEST_F(BadInput, CheckpointOfAnotherModel) {
  ASSERT_EQ(train({}).code, 0);
  const std::string other = shop_.make_model("other.h5", 2);
  const Outcome outcome = run_program({"evaluate", shop_.experiment(), "--set", "model.weights=" + other});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("best.h5"), HasSubstr("model.h5"), HasSubstr("other.h5"),
                                 HasSubstr("SHA-256")));
}

TEST_F(BadInput, CheckpointOfAnotherLength) {
  ASSERT_EQ(train({}).code, 0);
  const Outcome outcome = run_program({"evaluate", shop_.experiment(), "--set", "method.length=5"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("[4, 16]"), HasSubstr("[5, 16]")));
}

TEST_F(BadInput, GoingOnWithOtherSettings) {
  ASSERT_EQ(train({}).code, 0);
  const Outcome outcome = train({"optimizer.learning_rate=0.1"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("optimizer.learning_rate was 0.3 and is now 0.1")));
}

TEST_F(BadInput, GoingOnWithOtherRows) {
  ASSERT_EQ(train({}).code, 0);
  const std::string state = shop_.read("run/last.h5");
  shop_.write("train.jsonl", "{\"input\": \"a song\", \"target\": \"bad\"}\n" + shop_.read("train.jsonl"));
  const Outcome outcome = train({"train.steps=8"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("was trained on other rows"), HasSubstr("set output")));
  EXPECT_TRUE(shop_.read("run/last.h5") == state);
}

// With weights that are no numbers nothing is scored either.
TEST_F(BadInput, WeightsThatAreNotFinite) {
  ASSERT_EQ(run_program({"export", shop_.model(), shop_.path("hf")}).code, 0);
  std::string bytes = shop_.read("hf/model.safetensors"), ones;
  for (int i = 0; i < 16; ++i) ones += std::string("\0\0\x80\x3f", 4);
  const std::size_t norm = bytes.find(ones);
  ASSERT_NE(norm, std::string::npos);
  bytes.replace(norm + 8, 4, std::string("\0\0\xc0\x7f", 4));
  shop_.write("hf/model.safetensors", bytes);
  for (const char* method : {"method={name: zero_shot}", "method={name: prompt_tuning}"}) {
    const Outcome outcome = train({"model.weights=" + shop_.path("hf"), method});
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("/hf"), HasSubstr("norm"), HasSubstr("not finite")));
  }
  shop_.write("hf/config.json", "{\"model_type\":");
  EXPECT_THAT(train({"model.weights=" + shop_.path("hf")}).err, HasSubstr("config.json: is no JSON"));
}

// Nothing has been learned yet, but what is trained would be used.
TEST_F(BadInput, NothingIsWrongWithAMethodThatBeginsAsTheBase) {
  const Outcome outcome =
      train({"method={name: lora}", "optimizer.warmup_steps=100000", "train.checkpoint_every=1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(BadInput, OutputThatNothingCanTake) {
  ASSERT_EQ(train({}).code, 0);
  const std::string program = TRIMTAB_PROGRAM, experiment = shop_.experiment();
  for (const auto& verb : {"evaluate " + experiment, "train --print-config " + experiment}) {
    const Outcome outcome = run_command({"/bin/sh", "-c", program + " " + verb + " > /dev/full"});
    EXPECT_EQ(outcome.code, 1) << verb;
    EXPECT_THAT(outcome.err, HasSubstr("standard output cannot be written: No space left on device")) << verb;
  }
}

TEST_F(BadInput, PathsThatWouldBeReplaced) {
  ASSERT_EQ(train({}).code, 0);
  ASSERT_EQ(::mkfifo(shop_.path("pipe").c_str(), 0600), 0);
  const Outcome outcome = run_program({"evaluate", shop_.experiment(), "--predictions", shop_.path("pipe")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("pipe: is no regular file"));
  EXPECT_TRUE(std::filesystem::is_fifo(shop_.path("pipe")));
  shop_.write("real", "old");
  std::filesystem::create_symlink("real", shop_.path("link"));
  EXPECT_EQ(run_program({"evaluate", shop_.experiment(), "--predictions", shop_.path("link")}).code, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(shop_.path("link")));
  EXPECT_THAT(shop_.read("real"), HasSubstr("prediction"));
}

TEST_F(BadInput, LossThatIsNotFinite) {
  const Outcome outcome = train({"optimizer.name=sgd", "optimizer.learning_rate=1e39",
                                 "optimizer.weight_decay=0", "train.journal=off"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("step "), HasSubstr("train/"), HasSubstr("encoder")));
}

// Whether it is an update or a loss that is no number.
TEST_F(BadInput, DivergingLeavesTheLastCheckpoint) {
  // The first step is made with the rate 0, the second one with 5e38.
  const auto make_steps = [&](int steps) {
    return train({"optimizer.name=sgd", "optimizer.weight_decay=0", "optimizer.learning_rate=1e39",
                  "optimizer.warmup_steps=2", "train.checkpoint_every=1", "train.evaluate_every=0",
                  "train.steps=" + std::to_string(steps)});
  };
  const Outcome one = make_steps(1);
  ASSERT_EQ(one.code, 0) << one.err;
  const std::string good = shop_.read("run/last.h5");
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Outcome outcome = make_steps(6);
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("going on after step 1"), HasSubstr("after step 2"),
                                   HasSubstr("in another output folder")));
    EXPECT_TRUE(shop_.read("run/last.h5") == good);
  }
}

// Rates that are known to train badly are said before the first step, and what does not move after a hundred.
TEST_F(BadInput, RateOfAnotherMethodIsSaid) {
  const Outcome low = train({"optimizer.learning_rate=1e-6", "train.steps=100", "train.evaluate_every=0"});
  EXPECT_EQ(low.code, 0) << low.err;
  EXPECT_THAT(low.err,
              AllOf(HasSubstr("far too low for prompts"), HasSubstr("the trained values have moved by")));
  EXPECT_THAT(train({"train.steps=1", "output=" + shop_.path("usual")}).err, Not(HasSubstr("warning")));
  EXPECT_THAT(train({"train.steps=1", "optimizer.learning_rate=1000", "output=" + shop_.path("huge")}).err,
              HasSubstr("far too high for this method"));
  const Outcome high = train({"method={name: model_tuning}", "optimizer.learning_rate=0.3", "train.steps=1",
                              "output=" + shop_.path("whole")});
  EXPECT_THAT(high.err, HasSubstr("far too high for training a whole model"));
}

// Not after the training is done.
TEST_F(BadInput, ScoredRowThatIsLongerThanTheBudget) {
  const Outcome outcome = train({"evaluate.batch_tokens=9", "train.evaluate_every=0"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("raise evaluate.batch_tokens"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("train ")));
  const Outcome dry =
      run_program({"train", shop_.experiment(), "--dry-run", "--set", "evaluate.batch_tokens=9"});
  EXPECT_EQ(dry.code, 2);
  EXPECT_THAT(dry.err, HasSubstr("raise evaluate.batch_tokens"));
}

TEST_F(BadInput, InputThatIsNoJson) {
  ASSERT_EQ(train({}).code, 0);
  const Outcome outcome = run_program({"predict", shop_.experiment()}, "a song\n{\"input\": \n");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("standard input:2"));
}

// A row that is shown beside itself teaches to look its answer up.
TEST(Shots, AreNotTrainedOn) {
  const Workshop shop;
  const auto dry_run = [&](const std::string& shots, const std::string& method) {
    return run_program({"train", shop.experiment(), "--dry-run", "--set", "text.shots=" + shots, "--set",
                        "text.template='{shots}{input}'", "--set", "text.max_input=512", "--set",
                        "train.micro_batch_tokens=4096", "--set", "method=" + method});
  };
  const std::string trains = "{name: prompt_tuning, length: 4}", trains_not = "{name: zero_shot}";
  const Outcome fifteen = dry_run("15", trains);
  EXPECT_EQ(fifteen.code, 0) << fifteen.err;
  const Outcome all = dry_run("16", trains);
  EXPECT_EQ(all.code, 2);
  EXPECT_THAT(all.err, HasSubstr("text.shots: 16: all rows of the training split are shown"));
  const Outcome shown = dry_run("16", trains_not);
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out + shown.err, HasSubstr("first example: "));
}

TEST(Usage, NoVerbAndUnknownFlagAreErrorsOfTheUser) {
  EXPECT_EQ(run_program({}).code, 2);
  const Outcome unknown = run_program({"train", "experiment.yaml", "--no-such-flag"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, ::testing::StartsWith("error: ")) << "as every error that a user looks for";
  EXPECT_THAT(unknown.err, HasSubstr("--no-such-flag"));
  const Outcome help = run_program({"train", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("Example"));
}

}  // namespace
}  // namespace trimtab::testing
