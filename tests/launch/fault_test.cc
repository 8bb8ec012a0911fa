// SPDX-License-Identifier: Apache-2.0
//
// One rank of a 2 x 2 job comes to harm: the whole job ends within seconds, not with 0, and the last that its
// ranks say names that rank, its host and a reason in one line; no process is left, and the last checkpoint
// is whole.
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <ostream>
#include <sstream>

#include "experiments/machine.h"
#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two ranks that wait for a third may speak at the same moment.
constexpr std::ptrdiff_t kLastLines = 2;

// The last lines of the ranks. mpirun's notes stand between lines of dashes or begin with its host and
// process.
std::vector<std::string> last_lines_of_ranks(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  bool note = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("----------"))
      note = !note;
    else if (!note && !line.empty() && !line.starts_with("[" + host_name() + ":"))
      lines.push_back(line);
  }
  lines.erase(lines.begin(), lines.end() - std::min(kLastLines, static_cast<std::ptrdiff_t>(lines.size())));
  return lines;
}

std::vector<std::string> training(const Workshop& shop) {
  return {"train", shop.experiment(),         "--set", "output=" + shop.path("run"),
          "--set", "mesh={data: 2, pipe: 2}", "--set", "train.checkpoint_every=1",
          "--set", "train.evaluate_every=2",  "--set", "train.journal=off",
          "--set", "train.steps=100000"};
}

struct Harm {
  std::string name;
  std::string fault;   // of faulty.cc
  std::string reason;  // in the line with the rank and its host
  bool saved = true;   // a checkpoint was there before

  // In the names of tests.
  friend void PrintTo(const Harm& it, std::ostream* out) { *out << it.name; }
};

class Faults : public ::testing::TestWithParam<Harm> {
 protected:
  Outcome suffer(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = training(shop_);
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto start = std::chrono::steady_clock::now();
    Outcome outcome = run_faulty_on_ranks(4, GetParam().fault, arguments);
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return outcome;
  }

  void expect_good_end(const Outcome& outcome) {
    const std::string said = outcome.err + outcome.out;
    EXPECT_THAT(outcome.code, ::testing::Not(AnyOf(0, 124))) << said;
    EXPECT_LT(seconds_, 60) << said;
    const std::string rank = "rank " + GetParam().fault.substr(0, 1);
    EXPECT_THAT(last_lines_of_ranks(outcome.err),
                Contains(AllOf(AnyOf(HasSubstr(rank + " of 4 on " + host_name()),
                                     HasSubstr(rank + " on " + host_name())),
                               HasSubstr(GetParam().reason))))
        << said;
    if (GetParam().fault.ends_with("kill")) {
      EXPECT_THAT(said, HasSubstr("exited on signal 9")) << "mpirun says how it died";
    }
    EXPECT_THAT(processes_left(shop_.path("run")), IsEmpty());
    ASSERT_EQ(std::filesystem::exists(shop_.path("run/last.h5")), GetParam().saved) << said;
    if (!GetParam().saved) return;
    const Outcome shown = run_program({"inspect", shop_.path("run/last.h5")});
    EXPECT_EQ(shown.code, 0) << shown.err;
  }

  Workshop shop_;
  double seconds_ = 0.0;
};

TEST_P(Faults, EndTheJobByNameAndLeaveTheStateWhole) { expect_good_end(suffer()); }

constexpr const char* kGone = "is gone without a word";

// Counts are such that some steps were made and saved, but for start-up; rank 0 alone writes.
INSTANTIATE_TEST_SUITE_P(
    Thrown, Faults,
    ::testing::Values(Harm{"AtStartUp", "3 start-up/operation 15 throw", "the test says so", false},
                      Harm{"InForward", "2 forward 40 throw", "the test says so"},
                      Harm{"InBackward", "1 backward 30 throw", "the test says so"},
                      Harm{"InAnOperation", "3 backward/operation 30 throw", "the test says so"},
                      Harm{"InDecoding", "1 decoding 5 throw", "the test says so"},
                      Harm{"WhileSaving", "0 commit 6 throw", "the test says so"}),
    [](const auto& tested) { return tested.param.name; });

INSTANTIATE_TEST_SUITE_P(Exited, Faults,
                         ::testing::Values(Harm{"AtStartUp", "3 start-up/operation 15 exit", kGone, false},
                                           Harm{"InForward", "2 forward 40 exit", kGone},
                                           Harm{"InBackward", "1 backward 30 exit", kGone},
                                           Harm{"InAnOperation", "3 backward/operation 30 exit", kGone},
                                           Harm{"WhileSaving", "0 commit 6 exit", kGone}),
                         [](const auto& tested) { return tested.param.name; });

INSTANTIATE_TEST_SUITE_P(Killed, Faults,
                         ::testing::Values(Harm{"AtStartUp", "3 start-up/operation 15 kill", kGone, false},
                                           Harm{"InForward", "2 forward 40 kill", kGone},
                                           Harm{"InBackward", "1 backward 30 kill", kGone},
                                           Harm{"InAnOperation", "3 backward/operation 30 kill", kGone},
                                           Harm{"WhileAnotherSaves", "2 saving 4 kill", kGone},
                                           Harm{"WhileSaving", "0 commit 6 kill", kGone}),
                         [](const auto& tested) { return tested.param.name; });

INSTANTIATE_TEST_SUITE_P(Full, Faults,
                         ::testing::Values(Harm{"Disk", "0 saving 4 full", "last.unverified.h5"}),
                         [](const auto& tested) { return tested.param.name; });

TEST(Resume, AfterADeathWhileSavingLeavesNothingUnfinished) {
  const Workshop shop;
  const auto unfinished = [&] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(shop.path("run")))
      count += entry.path().string().find(".part-") != std::string::npos ? 1 : 0;
    return count;
  };
  std::vector<std::string> arguments = training(shop);
  ASSERT_NE(run_faulty_on_ranks(4, "0 commit 6 kill", arguments).code, 0);
  EXPECT_EQ(unfinished(), 1);
  arguments.back() = "train.steps=8";
  const Outcome resumed = run_on_ranks(4, arguments);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("going on after step "));
  EXPECT_EQ(unfinished(), 0);
}

class Stopped : public Faults {};

TEST_P(Stopped, RankIsNamedAndTheJobEndsAtTheLimit) {
  const Outcome outcome =
      suffer({"--set", "mesh.late=2", "--set", "mesh.timeout=10", "--set", "mesh.startup_timeout=10"});
  expect_good_end(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("over mesh."));
  for (const int rank : {0, 1, 2, 3})
    EXPECT_THAT(shop_.read("run/ranks/rank-" + std::to_string(rank) + ".txt"),
                AllOf(HasSubstr("process="), HasSubstr("last operations"), HasSubstr("of ")));
}

INSTANTIATE_TEST_SUITE_P(
    Ranks, Stopped,
    // The fifth operation is the last one in which ranks tell each other who they are.
    ::testing::Values(Harm{"BeforeTheMeshIsCompared", "3 start-up/operation 6 stop", "no sign of life",
                           false},
                      Harm{"AtStartUp", "3 start-up/operation 15 stop", "has given no sign of life", false},
                      Harm{"First", "0 forward 40 stop", "has given no sign of life"},
                      Harm{"InBackward", "1 backward 30 stop", "has given no sign of life"}),
    [](const auto& tested) { return tested.param.name; });

// It lives and goes on, so the job does, too.
TEST(Slow, RankIsNamedWhileTheJobGoesOn) {
  const Workshop shop;
  std::vector<std::string> arguments = training(shop);
  arguments.back() = "train.steps=3";
  arguments.insert(arguments.end(), {"--set", "mesh.late=2", "--set", "mesh.timeout=60"});
  const Outcome outcome = run_faulty_on_ranks(4, "2 forward 5 slow", arguments);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              ::testing::ContainsRegex(
                  "waiting for [0-9]+ s in .*: rank 2 on .* has computed for [0-9]+ s in forward"));
  EXPECT_THAT(shop.read("run/record.json"), HasSubstr("\"status\": \"finished\""));
}

// So short a limit that the rank has hardly been silent when it is over.
TEST(Stopping, RankIsNamedAtAShortLimit) {
  const Workshop shop;
  std::vector<std::string> arguments = training(shop);
  arguments.insert(arguments.end(), {"--set", "mesh.late=2", "--set", "mesh.timeout=6"});
  const Outcome outcome = run_faulty_on_ranks(4, "2 backward/operation 10 stop", arguments);
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(last_lines_of_ranks(outcome.err),
              Contains(HasSubstr("rank 2 on " + host_name() + " has given no sign of life for ")))
      << outcome.err;
}

TEST(Ending, ARankThatStopsInMpiFinalizeIsNamedAndTheJobEndsAtTheLimit) {
  const Workshop shop;
  std::vector<std::string> arguments = training(shop);
  arguments.back() = "train.steps=2";
  arguments.insert(arguments.end(), {"--set", "mesh.late=2", "--set", "mesh.timeout=10"});
  const Outcome outcome = run_faulty_on_ranks(4, "3 ending/operation 1 stop", arguments);
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("MPI_Finalize"), HasSubstr("over mesh.timeout = 10 s"),
                                 HasSubstr("rank 3 on " + host_name() + " has given no sign of life")));
  EXPECT_THAT(processes_left(shop.path("run")), IsEmpty());
  EXPECT_THAT(shop.read("run/record.json"), HasSubstr("\"status\": \"finished\""));
}

TEST(Evaluating, KeepsWhatItsRanksDidWhenItFails) {
  const Workshop shop;
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  const Outcome outcome = run_faulty_on_ranks(2, "1 start-up/operation 12 stop",
                                              {"evaluate", shop.experiment(), "--set", "mesh.data=2", "--set",
                                               "mesh.timeout=4", "--set", "mesh.startup_timeout=4"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("What each rank did last is in " + shop.path("run/ranks/evaluate-")));
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shop.path("run/ranks")))
    found += std::filesystem::exists(entry.path() / "rank-1.txt");
  EXPECT_EQ(found, 1);
}

// One bit of one rank, which no loss shows: replicas are compared after steps 2, 4 and 6, along both axes
// each time.
struct Astray {
  std::string name, mesh, fault, axis;

  // In the names of tests.
  friend void PrintTo(const Astray& it, std::ostream* out) { *out << it.name; }
};

class Replicas : public ::testing::TestWithParam<Astray> {};

TEST_P(Replicas, OneThatGoesAstrayEndsTheRunByName) {
  const Workshop shop;
  const Outcome outcome = run_faulty_on_ranks(
      2, GetParam().fault,
      {"train", shop.experiment(), "--set", "mesh=" + GetParam().mesh, "--set", "train.compare_every=2",
       "--set", "train.checkpoint_every=1", "--set", "train.steps=8", "--set", "train.journal=off"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("after step 6: what rank 1 trained is not what the first rank of its " +
                                     GetParam().axis + " group (0) trained"));
  const Outcome shown = run_program({"inspect", shop.path("run/last.h5")});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("of 5 steps"));
}

INSTANTIATE_TEST_SUITE_P(
    OfABit, Replicas,
    ::testing::Values(Astray{"Value", "{data: 2}", "1 comparing 5 value", "data"},
                      Astray{"OptimizerState", "{data: 2}", "1 comparing 5 state", "data"},
                      Astray{"ValueOfATensorRank", "{tensor: 2}", "1 comparing 6 value", "tensor"}),
    [](const auto& tested) { return tested.param.name; });

// A run that is shorter than train.compare_every is compared all the same, before it says that it is done.
TEST(ReplicasOfAShortRun, AreComparedAfterTheLastStep) {
  const Workshop shop;
  const Outcome outcome = run_faulty_on_ranks(2, "1 comparing 1 value",
                                              {"train", shop.experiment(), "--set", "mesh.data=2", "--set",
                                               "train.compare_every=100", "--set", "train.steps=3"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("after step 3: what rank 1 trained is not what the first rank of its data group"));
}

// Two builds of one version.
TEST(StartUp, RanksWithDifferentProgramsAreRefused) {
  const Workshop shop;
  std::vector<std::vector<std::string>> commands;
  for (const char* program : {TRIMTAB_PROGRAM, TRIMTAB_FAULTY})
    commands.push_back({program, "train", shop.experiment(), "--set", "mesh.data=2"});
  const Outcome outcome = run_commands_on_ranks(commands);
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("the program of rank 1 is not that of rank 0; install the same build"));
  EXPECT_FALSE(std::filesystem::exists(shop.path("run/last.h5")));
}

// MPI_Init waits for all ranks, and one of them is another program that never calls it.
TEST(StartUp, RankThatNeverComesIsNamedAndTheJobEndsAtTheLimit) {
  const Workshop shop;
  std::vector<std::string> command =
      faulty_command(1, {"train", shop.experiment(), "--set", "mesh={data: 2, late: 2, startup_timeout: 5}"});
  for (const char* word : {":", "-n", "1", "sleep", "600"}) command.emplace_back(word);
  const Outcome outcome = run_command(command);
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("nothing was seen yet of rank 1"),
                                 HasSubstr("ended before MPI_Init"), HasSubstr("mesh.startup_timeout")));
}

// Its file was written and not changed since, as one of an earlier run.
TEST(StartUp, RankThatStopsBehindMpiInitIsNamedAndTheJobEndsAtTheLimit) {
  const Workshop shop;
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = run_faulty_on_ranks(
      2, "1 start-up/operation 2 stop",
      {"train", shop.experiment(), "--set", "mesh={data: 2, late: 2, timeout: 5, startup_timeout: 5}"});
  EXPECT_NE(outcome.code, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("all_gather"), HasSubstr("rank 1"),
                                 HasSubstr("that is over mesh.startup_timeout = 5 s")));
  EXPECT_THAT(processes_left(shop.path("run")), IsEmpty());
}

}  // namespace
}  // namespace trimtab::testing
