// SPDX-License-Identifier: Apache-2.0
//
// The journal of steps: whenever a rank is killed, the same command goes on from the last step that was made
// and ends with the bytes of an undisturbed run, also on another mesh; what of it is damaged or cannot be
// written costs steps, not the run.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <utility>

#include "experiments/checkpoint.h"
#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// 12 steps, scored after five and ten, no checkpoint on the way, and the journal as it is by default.
std::vector<std::string> training(const Workshop& shop, const std::string& output,
                                  const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"train", shop.experiment()};
  std::vector<std::string> all = {"output=" + shop.path(output), "train.steps=12", "train.checkpoint_every=0",
                                  "train.evaluate_every=5", "train.micro_batch_tokens=48"};
  all.insert(all.end(), more.begin(), more.end());
  for (const std::string& option : all) {
    arguments.emplace_back("--set");
    arguments.push_back(option);
  }
  return arguments;
}

const std::string kMesh = "mesh={data: 2, pipe: 2}";

// Steps of the newest file of the journal, and the file.
std::pair<std::int64_t, std::string> newest(const Workshop& shop, const std::string& run) {
  std::pair<std::int64_t, std::string> out;
  for (const char* name : {"/journal-0.h5", "/journal-1.h5"})
    if (const std::string path = shop.path(run + name); std::filesystem::exists(path))
      out = std::max(out, std::pair(Checkpoint(path).info().step, path));
  return out;
}

void expect_same_bytes(const Workshop& shop, const std::string& run, const std::string& reference) {
  for (const char* name : {"/last.h5", "/best.h5"})
    EXPECT_TRUE(shop.read(run + name) == shop.read(reference + name)) << run << name;
}

struct Death {
  std::string name;
  std::string fault;  // of faulty.cc
  std::int64_t steps = 0;

  // In the names of tests.
  friend void PrintTo(const Death& it, std::ostream* out) { *out << it.name; }
};

class Journal : public ::testing::TestWithParam<Death> {};

TEST_P(Journal, LosesAtMostTheStepThatWasBeingMade) {
  const Workshop shop;
  ASSERT_EQ(run_on_ranks(4, training(shop, "run", {kMesh})).code, 0);
  std::filesystem::rename(shop.path("run"), shop.path("whole"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("whole/journal-0.h5"))) << "a run that ended needs none";

  ASSERT_NE(run_faulty_on_ranks(4, GetParam().fault, training(shop, "run", {kMesh})).code, 0);
  EXPECT_FALSE(std::filesystem::exists(shop.path("run/last.h5")));
  const std::int64_t made = newest(shop, "run").first;
  // The other ranks may have finished the step in which one died.
  EXPECT_GE(made, GetParam().steps);
  EXPECT_LE(made, GetParam().steps + 1);
  const Outcome resumed = run_on_ranks(4, training(shop, "run", {kMesh}));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr(fmt::format("going on after step {}\n", made)));
  expect_same_bytes(shop, "run", "whole");
  // Each step is in the log once.
  EXPECT_EQ(std::ranges::count(shop.read("run/metrics.jsonl"), '\n'),
            std::ranges::count(shop.read("whole/metrics.jsonl"), '\n'));
}

INSTANTIATE_TEST_SUITE_P(Killed, Journal,
                         ::testing::Values(Death{"InForward", "3 update 7 kill", 6},
                                           Death{"WhileWriting", "0 journal 8 kill", 6},
                                           Death{"AfterTheScore", "1 update 6 kill", 5}),
                         [](const auto& tested) { return tested.param.name; });

TEST(Journal, GoesOnOnAnotherMesh) {
  const Workshop shop;
  const std::vector<std::string> lora = {"method={name: lora, rank: 2}"};
  ASSERT_EQ(run_program(training(shop, "whole", lora)).code, 0);
  std::vector<std::string> cut = lora;
  cut.emplace_back("mesh={pipe: 2, tensor: 2}");
  ASSERT_NE(run_faulty_on_ranks(4, "2 update 9 kill", training(shop, "run", cut)).code, 0);
  const std::int64_t made = newest(shop, "run").first;
  ASSERT_GE(made, 8);
  const Outcome resumed = run_program(training(shop, "run", lora));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr(fmt::format("going on after step {}\n", made)));
  EXPECT_EQ(Checkpoint(shop.path("run/last.h5")).info().step, 12);
  EXPECT_EQ(Checkpoint(shop.path("run/last.h5")).info().best_step,
            Checkpoint(shop.path("whole/last.h5")).info().best_step);
}

TEST(Journal, WhatIsDamagedIsPassedOver) {
  const Workshop shop;
  ASSERT_EQ(run_on_ranks(4, training(shop, "run", {kMesh})).code, 0);
  std::filesystem::rename(shop.path("run"), shop.path("whole"));
  ASSERT_NE(run_faulty_on_ranks(4, "3 update 7 kill", training(shop, "run", {kMesh})).code, 0);
  // Cut short, as a host that went down leaves it: the other file is the one that lay on the device.
  const std::string path = newest(shop, "run").second;
  std::filesystem::rename(path, shop.path("newest.h5"));
  const std::int64_t before = newest(shop, "run").first;
  ASSERT_GE(before, 1);
  std::filesystem::rename(shop.path("newest.h5"), path);
  std::filesystem::resize_file(path, 3000);
  const Outcome resumed = run_on_ranks(4, training(shop, "run", {kMesh}));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("a file of the journal is passed over"), HasSubstr(path),
                                 HasSubstr(fmt::format("going on after step {}\n", before))));
  expect_same_bytes(shop, "run", "whole");
}

TEST(Journal, ADamagedCheckpointDoesNotStandInItsWay) {
  const Workshop shop;
  const std::vector<std::string> set = {"train.checkpoint_every=4"};
  ASSERT_EQ(run_program(training(shop, "run", set)).code, 0);
  std::filesystem::rename(shop.path("run"), shop.path("whole"));
  ASSERT_NE(run_faulty_on_ranks(1, "0 update 7 kill", training(shop, "run", set)).code, 0);
  std::filesystem::resize_file(shop.path("run/last.h5"), 3000);
  const Outcome resumed = run_program(training(shop, "run", set));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err,
              AllOf(HasSubstr("warning: the last checkpoint is passed over, since the journal is whole: "),
                    HasSubstr("last.h5"), HasSubstr("going on after step 6\n")));
  expect_same_bytes(shop, "run", "whole");
}

TEST(Journal, ABestCheckpointThatIsLostIsChosenAnew) {
  const Workshop shop;
  for (const bool removed : {true, false}) {
    const std::string run = removed ? "removed" : "cut", best = shop.path(run + "/best.h5");
    ASSERT_NE(run_faulty_on_ranks(2, "1 update 7 kill", training(shop, run, {"mesh.data=2"})).code, 0);
    ASSERT_EQ(Checkpoint(best).info().step, 5);
    if (removed)
      std::filesystem::remove(best);
    else
      std::filesystem::resize_file(best, 3000);
    const Outcome resumed = run_on_ranks(2, training(shop, run, {"mesh.data=2"}));
    EXPECT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_THAT(resumed.err,
                AllOf(HasSubstr("warning: the best checkpoint is lost (" + best), HasSubstr("chosen anew")));
    EXPECT_THAT(Checkpoint(best).info().step, ::testing::AnyOf(10, 12));
    // At the end of a run nothing would be scored any more.
    std::filesystem::remove(best);
    EXPECT_EQ(run_on_ranks(2, training(shop, run, {"mesh.data=2", "train.steps=13"})).code, 0);
    EXPECT_EQ(Checkpoint(best).info().step, 13);
  }
}

TEST(Journal, OfAnotherRunIsRefused) {
  const Workshop shop;
  ASSERT_NE(run_faulty_on_ranks(2, "1 update 5 kill", training(shop, "run", {"mesh.data=2"})).code, 0);
  const Outcome other = run_program(training(shop, "run", {"train.seed=2"}));
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr(newest(shop, "run").second + ": holds a run with other settings"),
                               HasSubstr("train.seed was 1 and is now 2")));
}

TEST(Journal, ThatCannotBeWrittenDoesNotEndTheRun) {
  const Workshop shop;
  std::filesystem::create_directories(shop.path("run/journal-1.h5/in-the-way"));
  const Outcome outcome = run_on_ranks(2, training(shop, "run", {"mesh.data=2"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("journal-1.h5"), HasSubstr("goes on without its journal")));
}

TEST(Journal, IsKeptWhereItIsCheap) {
  const Workshop shop;
  const auto kept = [&](const std::string& run, const std::vector<std::string>& set) {
    const std::vector<std::string> arguments = training(shop, run, set);
    EXPECT_EQ(run_and_signal(arguments, 8, SIGKILL).code, 128 + SIGKILL);
    return newest(shop, run).first > 0;
  };
  EXPECT_TRUE(kept("prompt", {"train.steps=100000"}));
  EXPECT_FALSE(kept("model", {"method={name: model_tuning}", "train.steps=100000"}));
  EXPECT_FALSE(kept("off", {"train.journal=off", "train.steps=100000"}));
}

}  // namespace
}  // namespace trimtab::testing
