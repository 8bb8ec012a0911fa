// SPDX-License-Identifier: Apache-2.0
//
// The shipped batch files on a real Slurm of two nodes (tests/slurm/cluster).
#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <sstream>
#include <thread>

#include "launch/program.h"
#include "runtime/check.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Slurm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run_command({"unshare", "-u", "-m", "true"}).code != 0)
      GTEST_SKIP() << "nodes need host names of their own, which unshare may not give here";
    // munge's clients look for its socket as other users.
    std::filesystem::permissions(shop_.path(""), std::filesystem::perms(0755));
    setenv("SLURM_CONF", (folder() + "/slurm.conf").c_str(), 1);
    setenv("trimtab", TRIMTAB_PROGRAM, 1);
    setenv("launch", TRIMTAB_SOURCE "/launch", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 1);
    const Outcome started = cluster("start");
    ASSERT_EQ(started.code, 0) << started.err;
  }
  void TearDown() override {
    if (!IsSkipped()) {
      EXPECT_EQ(cluster("stop").code, 0);
    }
  }

  // Returns the number of the job.
  std::string submit(const std::vector<std::string>& options, const std::string& file,
                     const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {"sbatch", "--parsable", "--cpus-per-task=1",
                                        "--chdir=" + shop_.path(""), "--output=job.log"};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back(TRIMTAB_SOURCE "/launch/slurm/" + file);
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Outcome outcome = run_command(command);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out.substr(0, outcome.out.find('\n'));
  }

  // "COMPLETED", once the job has ended; of an array the states of its tasks, each in a line.
  std::string end_of(const std::string& job) {
    std::string states;
    EXPECT_TRUE(wait_until([&] {
      states = run_command({"squeue", "-h", "-r", "-t", "all", "-o", "%T", "-j", job}).out;
      std::istringstream lines(states);
      for (std::string state; std::getline(lines, state);)
        if (state != "COMPLETED" && state != "FAILED" && state != "CANCELLED" && state != "TIMEOUT")
          return false;
      return !states.empty();
    })) << states
        << log();
    return states.substr(0, states.find_last_not_of('\n') + 1);
  }

  void wait_for_log(const std::string& words) {
    EXPECT_TRUE(wait_until([&] { return log().find(words) != std::string::npos; })) << log();
  }

  void wait_for_step(int step) {
    const std::string words = "\"step\":" + std::to_string(step) + ",";
    ASSERT_TRUE(wait_until([&] { return shop_.read("run/metrics.jsonl").find(words) != std::string::npos; }))
        << log();
  }

  static bool wait_until(const std::function<bool()>& done) {
    for (int tries = 0; tries < 1'500; ++tries) {
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }

  std::vector<std::string> training(int steps) const {
    return {shop_.experiment(),
            "--set",
            "output=" + shop_.path("run"),
            "--set",
            "mesh={data: 2, pipe: 2}",
            "--set",
            "train.evaluate_every=0",
            "--set",
            "train.checkpoint_every=0",
            "--set",
            "train.steps=" + std::to_string(steps)};
  }

  // To end with the bytes of a run that nobody disturbed, when `disturb` is called once with its job.
  void expect_to_lose_nothing(const std::vector<std::string>& options, const std::string& file,
                              const std::function<void(const std::string&)>& disturb) {
    const std::vector<std::string> arguments = training(400);
    std::vector<std::string> alone = {"train"};
    alone.insert(alone.end(), arguments.begin(), arguments.end());
    ASSERT_EQ(run_on_ranks(4, alone).code, 0);
    const std::string last = shop_.read("run/last.h5");
    std::filesystem::remove_all(shop_.path("run"));

    std::vector<std::string> all = {"-N2", "-n4"};
    all.insert(all.end(), options.begin(), options.end());
    const std::string job = submit(all, file, arguments);
    wait_for_step(3);
    disturb(job);
    EXPECT_EQ(end_of(job), "COMPLETED") << log();
    EXPECT_THAT(log(), HasSubstr("going on after step "));
    EXPECT_TRUE(shop_.read("run/last.h5") == last) << log();
  }

  // After one signal of scancel's.
  void expect_a_signal_to_lose_nothing(const std::string& file, const std::vector<std::string>& signal) {
    expect_to_lose_nothing({}, file, [&](const std::string& job) {
      std::vector<std::string> warn = {"scancel", job};
      warn.insert(warn.end(), signal.begin(), signal.end());
      EXPECT_EQ(run_command(warn).code, 0);
    });
    EXPECT_THAT(log(),
                AllOf(HasSubstr("the same command goes on"), HasSubstr("ended with 75; queued again (1 of")));
  }

  // Takes both nodes from whoever has them.
  void displace() {
    EXPECT_EQ(run_command(
                  {"sbatch", "--partition=urgent", "-N2", "--exclusive", "--output=/dev/null", "--wrap=true"})
                  .code,
              0);
  }

  void expect_to_end_cancelled(const std::string& file) {
    const std::string job = submit({"-N2", "-n4"}, file, training(1'000'000));
    wait_for_step(3);
    ASSERT_EQ(run_command({"scancel", job}).code, 0);
    EXPECT_EQ(end_of(job), "CANCELLED") << log();
    EXPECT_THAT(processes_left(shop_.path("run")), IsEmpty());
    EXPECT_THAT(log(), HasSubstr("the same command goes on"));
    EXPECT_EQ(run_program({"inspect", shop_.path("run/last.h5")}).code, 0);
  }

  // Of three seeds of the workshop's experiment; `more` are further lines of its grid.
  std::string comparison_of_seeds(const std::string& more) {
    return shop_.write("comparison.yaml", "name: seeds\noutput: " + shop_.path("all") +
                                              "\nbase: experiment.yaml\n"
                                              "grid:\n  - train.seed: [1, 2, 3]\n" +
                                              more);
  }

  std::string log() const { return shop_.read("job.log"); }
  std::string folder() const { return shop_.path("slurm"); }
  Outcome cluster(const std::string& what) const {
    return run_command({TRIMTAB_SOURCE "/tests/slurm/cluster", what, folder()});
  }

  Workshop shop_;
};

// Under srun, and under mpirun, where Slurm knows the batch script only.
struct Way {
  std::string name, file;
  std::vector<std::string> warned;  // how scancel's signal reaches who passes it on
  std::string before_the_limit;     // sbatch --signal=
  friend void PrintTo(const Way& it, std::ostream* out) { *out << it.name; }
};
class SlurmJob : public Slurm, public ::testing::WithParamInterface<Way> {};
INSTANTIATE_TEST_SUITE_P(
    Under, SlurmJob,
    ::testing::Values(Way{"Srun", "requeue.sbatch", {"--signal=USR1"}, "USR1@40"},
                      Way{"Mpirun", "mpirun.sbatch", {"--batch", "--signal=USR1"}, "B:USR1@40"}),
    [](const auto& test) { return test.param.name; });

TEST_P(SlurmJob, RunsOnTwoNodes) {
  const std::string job = submit({"-N2", "-n4"}, GetParam().file, training(6));
  EXPECT_EQ(end_of(job), "COMPLETED") << log();
  EXPECT_THAT(shop_.read("run/record.json"), HasSubstr("\"status\": \"finished\"")) << log();
  EXPECT_THAT(shop_.read("run/ranks/rank-0.txt"), HasSubstr("host=node1"));
  EXPECT_THAT(shop_.read("run/ranks/rank-3.txt"), HasSubstr("host=node2"));
}

TEST_P(SlurmJob, AWarnedRunIsQueuedAgainAndLosesNothing) {
  expect_a_signal_to_lose_nothing(GetParam().file, GetParam().warned);
}

TEST_P(SlurmJob, ADisplacedRunIsSavedQueuedAgainAndLosesNothing) {
  expect_to_lose_nothing({}, GetParam().file, [&](const std::string&) { displace(); });
  EXPECT_THAT(log(), HasSubstr("the same command goes on"));
}

// Slurm ends it and queues it again; what it had not saved is in its journal.
TEST_P(SlurmJob, ARunDisplacedWithoutGraceLosesNothing) {
  expect_to_lose_nothing({"--partition=abrupt"}, GetParam().file, [&](const std::string&) { displace(); });
}

TEST_P(SlurmJob, ACancelledRunIsNotQueuedAgain) {
  expect_to_end_cancelled(GetParam().file);
  EXPECT_THAT(log(), Not(HasSubstr("queued again")));
}

// Only the batch script hears it, and the job goes on to run: not what cancelling or preempting it does.
TEST_F(Slurm, ABatchScriptThatIsTerminatedIsQueuedAgainAndLosesNothing) {
  expect_a_signal_to_lose_nothing("mpirun.sbatch", {"--batch", "--signal=TERM"});
}

// Slurm warns at a moment of its own choice, up to half a minute early.
TEST_P(SlurmJob, IsWarnedBeforeItsTimeLimitAndGoesOn) {
  const std::string job = submit({"-N2", "-n4", "--time=1", "--signal=" + GetParam().before_the_limit},
                                 GetParam().file, training(1'000'000));
  wait_for_log("queued again (1 of at most");
  wait_for_log("going on after step ");
  ASSERT_EQ(run_command({"scancel", job}).code, 0);
  EXPECT_EQ(end_of(job), "CANCELLED") << log();
  EXPECT_THAT(processes_left(shop_.path("run")), IsEmpty());
}

TEST_F(Slurm, ARunOfOneLifeIsMade) {
  const std::string job = submit({"-N2", "-n4"}, "run.sbatch", training(6));
  EXPECT_EQ(end_of(job), "COMPLETED") << log();
  EXPECT_THAT(shop_.read("run/record.json"), HasSubstr("\"status\": \"finished\"")) << log();
}

TEST_F(Slurm, ACancelledRunIsSavedAndLeavesNoProcess) { expect_to_end_cancelled("run.sbatch"); }

TEST_F(Slurm, AnArrayMakesTheRunsOfAComparison) {
  const std::string file = comparison_of_seeds("");
  const std::string job = submit({"--array=1-3%2"}, "array.sbatch", {file});
  EXPECT_EQ(end_of(job), "COMPLETED\nCOMPLETED\nCOMPLETED") << log();
  const Outcome table = run_program({"compare", file});
  EXPECT_EQ(table.code, 0) << table.err;
  for (const char* seed : {"1", "2", "3"})
    EXPECT_THAT(table.err, HasSubstr("seeds/seed=" + std::string(seed) + ": finished before"));
}

TEST_F(Slurm, ATaskOfAnArrayThatIsWarnedIsQueuedAgainAndLosesNothing) {
  const std::string file = comparison_of_seeds("    train.steps: [400]\n");
  ASSERT_EQ(run_program({"compare", file, "--run", "2"}).code, 0);
  const std::string run = "all/seed=2,steps=400";
  const std::string last = shop_.read(run + "/last.h5");
  ASSERT_FALSE(last.empty());
  std::filesystem::remove_all(shop_.path("all"));
  const std::string job = submit({"--array=1-3%2"}, "array.sbatch", {file});
  ASSERT_TRUE(wait_until([&] {
    return shop_.read(run + "/metrics.jsonl").find("\"step\":3,") != std::string::npos;
  })) << log();
  ASSERT_EQ(run_command({"scancel", "--signal=USR1", job + "_2"}).code, 0);
  EXPECT_EQ(end_of(job), "COMPLETED\nCOMPLETED\nCOMPLETED") << log();
  EXPECT_THAT(log(),
              AllOf(HasSubstr("ended with 75; queued again (1 of"), HasSubstr("going on after step ")));
  EXPECT_TRUE(shop_.read(run + "/last.h5") == last) << log();
}

TEST_F(Slurm, ARankThatFailsEndsTheJobByName) {
  const std::string job = submit({"-N2", "-n4"}, "run.sbatch", {shop_.experiment(), "--set", "mesh.data=3"});
  EXPECT_EQ(end_of(job), "FAILED") << log();
  EXPECT_THAT(log(), AllOf(HasSubstr("error: rank 0 of 4 on node1: "), HasSubstr("mesh")));
}

TEST_F(Slurm, APrintedFileIsTakenAndRuns) {
  // Slurm and the shell read it: an experiment whose name has what each of them would trip over.
  const std::string experiment =
      shop_.write("it's an \"experiment\" $HOME.yaml", shop_.read("experiment.yaml"));
  std::vector<std::string> command = {"launch", "--print"};
  for (const std::string& word : training(6)) command.push_back(word);
  command[2] = experiment;
  command.insert(command.end(), {"--set", "name=two words; $(false)", "--nodes", "2", "--cores-per-rank", "1",
                                 "--time", "10", "--partition", "all", "--preempt"});
  const Outcome printed = run_program(command);
  ASSERT_EQ(printed.code, 0) << printed.err;
  const Outcome submitted = run_command({"sbatch", "--parsable", "--chdir=" + shop_.path(""),
                                         "--output=job.log", shop_.write("printed.sbatch", printed.out)});
  ASSERT_EQ(submitted.code, 0) << submitted.err << printed.out;
  const std::string job = submitted.out.substr(0, submitted.out.find('\n'));
  EXPECT_EQ(end_of(job), "COMPLETED") << log() << printed.out;
  EXPECT_THAT(shop_.read("run/record.json"),
              AllOf(HasSubstr("\"status\": \"finished\""), HasSubstr("two words; $(false)")));
  EXPECT_THAT(shop_.read("run/ranks/rank-3.txt"), HasSubstr("host=node2"));
}

TEST_F(Slurm, PreflightKnowsTheNodes) {
  const Outcome outcome =
      run_command({"srun", "-N2", "--ntasks-per-node=2", "--mpi=pmix", TRIMTAB_PROGRAM, "preflight",
                   "--folder", shop_.path(""), "--set", "mesh={data: 2, pipe: 2}"});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("4 ranks on 2 hosts"), HasSubstr("node1"), HasSubstr("node2"),
                                 HasSubstr("1 of 2"), HasSubstr("no fault")));
}

TEST_F(Slurm, ProcessesWithoutMpiAreRefused) {
  const Outcome outcome =
      run_command({"srun", "-n2", "--mpi=none", TRIMTAB_PROGRAM, "train", shop_.experiment()});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("Slurm started 2 processes"), HasSubstr("--mpi=pmix")));
}

TEST_F(Slurm, ARunThatLosesARankIsQueuedAgain) {
  const std::string job = submit({"-N2", "-n4"}, "requeue.sbatch", training(1'000'000));
  wait_for_step(3);
  EXPECT_EQ(run_command({"bash", "-c",
                         "kill -KILL $(sed -n 's/.*process=\\([0-9]*\\).*/\\1/p' '" +
                             shop_.path("run/ranks/rank-2.txt") + "')"})
                .code,
            0);
  wait_for_log("queued again (1 of at most");
  wait_for_log("going on after step ");
  ASSERT_EQ(run_command({"scancel", job}).code, 0);
  EXPECT_EQ(end_of(job), "CANCELLED") << log();
}

}  // namespace
}  // namespace trimtab::testing
