// SPDX-License-Identifier: Apache-2.0
//
// `trimtab launch --print`: what it writes is read back by a shell as it was meant; requests that a machine
// cannot meet are refused. tests/slurm gives a printed file to a real Slurm.
#include <gmock/gmock.h>

#include <filesystem>
#include <sstream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

class Launch : public ::testing::Test {
 protected:
  Outcome launch(const Words& more) const {
    Words words = {"launch", "--print", shop_.experiment()};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  void expect_refused(const Words& more, const std::string& why) const {
    const Outcome outcome = launch(more);
    EXPECT_EQ(outcome.code, 2) << outcome.out;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(why));
  }
  // The words of which a shell makes the line that starts with `first`.
  Words words_of(const std::string& text, const std::string& first) const {
    const std::string script = first + "() { printf '%s\\n' \"$@\"; }\n" + text;
    std::istringstream lines(run_command({"bash", "-c", script}).out);
    Words out;
    for (std::string line; std::getline(lines, line);) out.push_back(line);
    return out;
  }
  Workshop shop_;
};

TEST_F(Launch, MpirunOnTheHosts) {
  const Outcome outcome =
      launch({"--launcher", "mpirun", "--hosts", "a:2,b:2", "--set", "mesh={data: 2, pipe: 2}", "--trimtab",
              "/opt/my programs/trimtab", "--set", "name=it's $HOME"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(
      words_of(outcome.out, "mpirun"),
      ElementsAre("-n", "4", "--bind-to", "none", "--host", "a:2,b:2", "--mca", "oob_tcp_keepalive_time",
                  "15", "--mca", "oob_tcp_keepalive_intvl", "5", "--mca", "oob_tcp_keepalive_probes", "3",
                  "/opt/my programs/trimtab", "train", shop_.experiment(), "--set", "mesh={data: 2, pipe: 2}",
                  "--set", "name=it's $HOME"));
}

TEST_F(Launch, SlurmOneRun) {
  const Outcome outcome =
      launch({"--nodes", "2", "--set", "mesh={data: 2, tensor: 2}", "--set", "model.threads=3", "--time",
              "1-00:00", "--partition", "gpu", "--account", "me", "--trimtab", "/opt/trimtab"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(::testing::StartsWith("#!/usr/bin/env bash\n#SBATCH --job-name=tiny\n"),
                    HasSubstr("#SBATCH --nodes=2\n#SBATCH --ntasks=4\n#SBATCH --ntasks-per-node=2\n"
                              "#SBATCH --cpus-per-task=3\n#SBATCH --time=1-00:00\n#SBATCH --partition=gpu\n"
                              "#SBATCH --account=me\n#SBATCH --signal=USR1@180\n#SBATCH --no-requeue\n"),
                    Not(HasSubstr("gres")), Not(HasSubstr("array")), Not(HasSubstr("scontrol"))));
  std::string text = outcome.out;
  text.erase(text.find("exec "), 5);
  EXPECT_THAT(words_of(text, "srun"), ElementsAre("--mpi=pmix", "--kill-on-bad-exit=1", "--cpus-per-task=3",
                                                  "/opt/trimtab", "train", shop_.experiment(), "--set",
                                                  "mesh={data: 2, tensor: 2}", "--set", "model.threads=3"));
}

TEST_F(Launch, PreemptedRunsAreQueuedAgain) {
  const Outcome outcome = launch({"--preempt"});
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("#SBATCH --requeue\n"), HasSubstr("status == 75"),
                                 HasSubstr("scontrol requeue \"$SLURM_JOB_ID\"")));
  // 75 asks for the queue, anything else is the job's own.
  const std::string stubs = "scontrol() { echo \"$@\"; exit 0; }; SLURM_JOB_ID=7\n";
  Outcome ended = run_command({"bash", "-c", stubs + "srun() { return 75; }\n" + outcome.out});
  EXPECT_THAT(ended.out, HasSubstr("requeue 7"));
  ended = run_command({"bash", "-c", stubs + "srun() { return 3; }\n" + outcome.out});
  EXPECT_EQ(ended.code, 3);
  EXPECT_THAT(ended.out, Not(HasSubstr("requeue")));
}

TEST_F(Launch, AComparisonIsAnArrayOfItsRuns) {
  const std::string file = shop_.write(
      "grid.yaml", "name: lengths\noutput: " + shop_.path("out") + "\nbase: " + shop_.experiment() +
                       "\ngrid: {method.length: [1, 2, 3], train.seed: [1, 2]}\n");
  const Outcome outcome = run_program({"launch", "--print", file, "--at-once", "2"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("#SBATCH --array=1-6%2\n"), HasSubstr(" compare " + file),
                    HasSubstr("--run \"$SLURM_ARRAY_TASK_ID\"\n"), HasSubstr("--output=%x-%A-%a.log")));
  const Outcome mixed =
      run_program({"launch", "--print",
                   shop_.write("mixed.yaml", "name: meshes\noutput: " + shop_.path("out") + "\nbase: " +
                                                 shop_.experiment() + "\ngrid: {mesh.data: [1, 2]}\n")});
  EXPECT_EQ(mixed.code, 2);
  EXPECT_THAT(mixed.err, HasSubstr("other ranks"));
}

TEST_F(Launch, WhatTheMachineDoesNotHave) {
  expect_refused({"--nodes", "3", "--set", "mesh.data=4"},
                 "mesh: data 4 x pipe 1 x tensor 1 needs 4 ranks, but 3 nodes");
  expect_refused({"--nodes", "2", "--ranks-per-node", "4", "--set", "mesh.data=4"}, "make 8");
  expect_refused({"--gpus-per-node", "4"}, "model.device is cpu");
  expect_refused({"--set", "model.device=cuda", "--set", "mesh.data=2", "--gpus-per-node", "1"},
                 "need as many devices");
  const Outcome cuda =
      launch({"--set", "model.device=cuda", "--set", "mesh.data=8", "--nodes", "2", "--gpus-per-node", "4"});
  EXPECT_THAT(cuda.out, AllOf(HasSubstr("--gres=gpu:4\n"), HasSubstr("--ntasks-per-node=4\n")));
}

TEST_F(Launch, FlagsThatMakeNoSense) {
  expect_refused({"--time", "soon"}, "--time: 'soon'");
  expect_refused({"--time", "10\n#SBATCH --exclusive"}, "--time");
  expect_refused({"--partition", "a b"}, "--partition: 'a b'");
  expect_refused({"--account", "me\n"}, "--account");
  expect_refused({"--launcher", "lsf"}, "--launcher");
  expect_refused({"--launcher", "mpirun", "--partition", "gpu"}, "--partition: is for --launcher slurm");
  expect_refused({"--launcher", "mpirun", "--preempt"}, "--preempt");
  expect_refused({"--launcher", "mpirun", "--nodes", "2", "--set", "mesh.data=4"}, "--hosts a:2,b:2");
  expect_refused({"--hosts", "a:1"}, "--hosts: is for --launcher mpirun");
  expect_refused({"--launcher", "mpirun", "--hosts", "a:1,b:2", "--set", "mesh.data=3"},
                 "as many ranks as the others");
  expect_refused({"--launcher", "mpirun", "--hosts", "a:x"}, "'a:x'");
  expect_refused({"--launcher", "mpirun", "--hosts", "a:1,", "--set", "mesh.data=2"}, "--hosts");
  expect_refused({"--cores-per-rank", "-1"}, "--cores-per-rank: -1");
  expect_refused({"--at-once", "0"}, "--at-once");
  const Outcome outcome = run_program({"launch", shop_.experiment()});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--print"));
}

}  // namespace
}  // namespace trimtab::testing
