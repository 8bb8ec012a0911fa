// SPDX-License-Identifier: Apache-2.0
//
// One rank of a 2 x 2 job is asked to end, wherever it is: all ranks end with 75, and the same command goes
// on to the bytes of an undisturbed run.
#include <gmock/gmock.h>

#include <filesystem>
#include <ostream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kInterrupted = 75;

struct Request {
  std::string name;
  std::string fault;  // of faulty.cc
  bool saved = true;

  // In the names of tests.
  friend void PrintTo(const Request& it, std::ostream* out) { *out << it.name; }
};

class Preemption : public ::testing::TestWithParam<Request> {};

TEST_P(Preemption, OfOneRankEndsAllAndNothingIsLost) {
  const Workshop shop;
  const std::vector<std::string> arguments = {"train", shop.experiment(),
                                              "--set", "output=" + shop.path("run"),
                                              "--set", "mesh={data: 2, pipe: 2}",
                                              "--set", "train.checkpoint_every=0",
                                              "--set", "train.evaluate_every=4",
                                              "--set", "train.steps=16",
                                              "--set", "train.micro_batch_tokens=48",
                                              "--set", "evaluate.batch_tokens=48"};
  ASSERT_EQ(run_on_ranks(4, arguments).code, 0);
  const std::string last = shop.read("run/last.h5"), best = shop.read("run/best.h5");
  std::filesystem::remove_all(shop.path("run"));

  const Outcome asked = run_faulty_on_ranks(4, GetParam().fault, arguments);
  EXPECT_EQ(asked.code, kInterrupted) << asked.err;
  ASSERT_EQ(std::filesystem::exists(shop.path("run/last.h5")), GetParam().saved) << asked.err;
  if (GetParam().saved) {
    EXPECT_THAT(shop.read("run/record.json"), HasSubstr("\"status\": \"interrupted\""));
    EXPECT_THAT(asked.err, HasSubstr("the same command goes on"));
  }
  EXPECT_FALSE(shop.read("run/last.h5") == last) << "it was not stopped early";

  const Outcome resumed = run_on_ranks(4, arguments);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_TRUE(shop.read("run/last.h5") == last);
  EXPECT_TRUE(shop.read("run/best.h5") == best);
}

INSTANTIATE_TEST_SUITE_P(Ranks, Preemption,
                         ::testing::Values(Request{"WhileLoading", "3 loading 1 ask", false},
                                           Request{"AtStartUp", "3 start-up/operation 5 ask", false},
                                           Request{"InForward", "1 forward 30 ask"},
                                           Request{"InBackward", "2 backward 10 ask"},
                                           Request{"InDecoding", "3 decoding 12 ask"}),
                         [](const auto& tested) { return tested.param.name; });

// The file is a pipe: that it could be opened for writing says that the program is about to read it, long
// before there is a job.
TEST(Preemption, WhileTheFileIsReadEndsWithTheSameCode) {
  const Workshop shop;
  for (const std::string signal : {"USR1", "TERM", "INT"}) {
    const Outcome asked = run_command({"bash", "-c",
                                       "cd '" + shop.path("") +
                                           "' && rm -f pipe && mkfifo pipe || exit; '" TRIMTAB_PROGRAM
                                           "' train pipe --set output=run & exec 3>pipe && kill -" +
                                           signal + " $! && cat experiment.yaml >&3; exec 3>&-; wait $!"});
    EXPECT_EQ(asked.code, kInterrupted) << signal << asked.err;
    EXPECT_FALSE(std::filesystem::exists(shop.path("run/last.h5")));
  }
}

// Ctrl-C at a terminal goes to the whole process group of the script.
TEST(Preemption, AnInterruptOfTheGroupOfTheScriptIsAWarning) {
  const Workshop shop;
  const Outcome asked =
      run_command({"bash", "-c",
                   "cd '" + shop.path("") +
                       "' || exit; ranks=2 options=--oversubscribe trimtab='" TRIMTAB_PROGRAM
                       "' setsid env --default-signal=INT '" TRIMTAB_SOURCE
                       "/launch/mpirun.sh' train experiment.yaml --set output=run --set train.steps=1000003 "
                       "--set mesh.data=2 --set train.log_every=1 & "
                       "until grep -qs '\"step\":3,' run/metrics.jsonl || ! kill -0 $!; do sleep 0.1; done; "
                       "kill -INT -- -$!; wait $!"});
  EXPECT_EQ(asked.code, kInterrupted) << asked.err;
  EXPECT_THAT(asked.err, HasSubstr("the same command goes on"));
  EXPECT_TRUE(processes_left("train.steps=1000003").empty());
}

// The script with a stand-in for mpirun, of which it is the parent.
Outcome run_script_with(const std::string& mpirun, const std::string& settings = "") {
  const Workshop shop;
  shop.write("mpirun", "#!/bin/bash\n" + mpirun);
  return run_command({"bash", "-c",
                      "chmod +x '" + shop.path("mpirun") + "' && export PATH='" + shop.path("") +
                          "':$PATH trimtab=true " + settings +
                          " && exec '" TRIMTAB_SOURCE "/launch/mpirun.sh' train some.yaml"});
}

TEST(Preemption, AWarningBeforeMpirunHasBegunEndsWithTheSameCode) {
  EXPECT_EQ(run_script_with("kill -USR1 $PPID; exec sleep 100").code, kInterrupted);
  // It loses the first, as the real one does before its ranks are there.
  EXPECT_EQ(run_script_with("trap '((++seen == 2)) && exit 75' USR1; kill -TERM $PPID\n"
                            "for i in {1..100}; do sleep 0.1; done")
                .code,
            kInterrupted);
  // Nobody asked for that.
  EXPECT_EQ(run_script_with("kill -USR1 $$").code, 128 + 10);
}

TEST(Preemption, TheScriptSaysThatThereIsNoProgram) {
  const Outcome outcome = run_script_with("echo mpirun \"$@\"", "trimtab=/no/such/program");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("mpirun.sh: there is no program /no/such/program: run launch/build"));
}

TEST(Preemption, TheScriptHandsSettingsOnToAllHosts) {
  const Outcome outcome =
      run_script_with("echo mpirun \"$@\"", "TRIMTAB_ATTENTION=math NCCL_DEBUG=WARN OTHER=1");
  EXPECT_THAT(outcome.out, AllOf(StartsWith("mpirun -n 4 "), HasSubstr(" -x TRIMTAB_ATTENTION "),
                                 HasSubstr(" -x NCCL_DEBUG "), Not(HasSubstr("OTHER")),
                                 EndsWith(" true train some.yaml\n")));
}

TEST(Preemption, EvaluatingEndsWithTheSameCode) {
  const Workshop shop;
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  const Outcome asked = run_faulty_on_ranks(4, "2 decoding 1 ask",
                                            {"evaluate", shop.experiment(), "--set",
                                             "mesh={data: 2, pipe: 2}", "--set", "evaluate.batch_tokens=48"});
  EXPECT_EQ(asked.code, kInterrupted) << asked.err;
  EXPECT_EQ(asked.out.find("accuracy"), std::string::npos) << asked.out;
  EXPECT_THAT(asked.err, HasSubstr("evaluate was stopped: the same command begins anew\n"));
}

}  // namespace
}  // namespace trimtab::testing
