// SPDX-License-Identifier: Apache-2.0
//
// `trimtab launch --print`: what it writes is read back by a shell as it was meant; requests that a machine
// cannot meet are refused. tests/slurm gives a printed file to a real Slurm.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
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
  // With only these of the variables that it hands on.
  Outcome launch(const Words& more, const Words& settings = {}) const {
    Words words = {
        "bash", "-c",
        "unset ${!TRIMTAB_*} ${!NCCL_*} OMP_NUM_THREADS; while [ \"$1\" != -- ]; do export \"$1\"; "
        "shift; done; shift; exec '" TRIMTAB_PROGRAM "' launch --print \"$@\"",
        "bash"};
    words.insert(words.end(), settings.begin(), settings.end());
    words.insert(words.end(), {"--", shop_.experiment()});
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
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
  // A batch file whose srun may be a function of the shell.
  static std::string without_exec(std::string text) {
    if (const std::size_t at = text.find("exec srun"); at != text.npos) text.erase(at, 5);
    return text;
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

TEST_F(Launch, MpirunHandsSettingsOnToAllHosts) {
  const Outcome outcome =
      launch({"--launcher", "mpirun", "--trimtab", "trimtab"},
             {"TRIMTAB_ATTENTION=math", "NCCL_DEBUG_FILE=a b", "OMP_NUM_THREADS=2", "OTHER=1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(
      words_of(outcome.out, "mpirun"),
      ElementsAre("-n", "1", "--bind-to", "none", "-x", "NCCL_DEBUG_FILE=a b", "-x", "OMP_NUM_THREADS=2",
                  "-x", "TRIMTAB_ATTENTION=math", "trimtab", "train", shop_.experiment()));
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
  EXPECT_THAT(
      words_of(without_exec(outcome.out), "srun"),
      ElementsAre("--mpi=pmix", "--kill-on-bad-exit=1", "--cpus-per-task=3", "/opt/trimtab", "train",
                  shop_.experiment(), "--set", "mesh={data: 2, tensor: 2}", "--set", "model.threads=3"));
}

TEST_F(Launch, WhatASharedClusterAsksFor) {
  const Outcome outcome =
      launch({"--memory", "64G", "--sbatch=--constraint=a100", "--sbatch", "--comment='two words'", "--setup",
              "module() { echo \"$*$UNSET\"; } # a comment", "--setup", "module load openmpi"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("#SBATCH --mem=64G\n"),
                    HasSubstr("\n#SBATCH --constraint=a100\n#SBATCH --comment='two words'\ncd ")));
  const Outcome run = run_command({"bash", "-c", "srun() { echo the ranks; }\n" + without_exec(outcome.out)});
  EXPECT_EQ(run.out, "load openmpi\nthe ranks\n") << run.err;
}

TEST_F(Launch, MpirunAfterItsSetup) {
  const Outcome outcome = launch({"--launcher", "mpirun", "--trimtab", "trimtab", "--setup",
                                  "A=1 # a comment", "--setup", "echo \"$A\""});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(words_of(outcome.out, "mpirun"),
              ElementsAre("1", "-n", "1", "--bind-to", "none", "trimtab", "train", shop_.experiment()));
}

TEST_F(Launch, NothingStartsWhereTheSetupFails) {
  for (const char* launcher : {"slurm", "mpirun"}) {
    const Outcome printed = launch({"--launcher", launcher, "--setup", "false", "--setup", "echo on"});
    const Outcome run = run_command(
        {"bash", "-c", "srun() { echo ranks; }; mpirun() { srun; }\n" + without_exec(printed.out)});
    EXPECT_EQ(run.code, 1) << printed.err;
    EXPECT_EQ(run.out, "") << launcher;
  }
}

// What becomes of a printed file whose srun ends with `code` in its `life`-th life.
class Preempted : public Launch {
 protected:
  std::string print(const Words& more) const {
    Words words = {"--preempt", "--set", "output=" + run_};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome printed = launch(words);
    EXPECT_THAT(printed.out, HasSubstr("#SBATCH --requeue\n")) << printed.err;
    return printed.out;
  }
  Outcome live_in(const std::string& printed, int code, int life, bool saves = false) const {
    const std::string stubs =
        "scontrol() { echo \"$@\"; exit 0; }; SLURM_JOB_ID=7 SLURM_RESTART_COUNT=" + std::to_string(life) +
        "\nsrun() { " + (saves ? "mkdir -p '" + run_ + "'; date +%N > '" + run_ + "/last.h5'; " : "") +
        "return " + std::to_string(code) + "; }\n";
    return run_command({"bash", "-c", stubs + printed});
  }
  // With a stand-in for the program, which tells the run's folder.
  Outcome live(int code, int life, bool saves = false) const {
    return live_in("program() { echo 'output: " + run_ + "'; }\n" + printed_, code, life, saves);
  }
  void expect_again(const Outcome& ended) const {
    EXPECT_THAT(ended.out, HasSubstr("requeue 7")) << ended.err;
  }
  void expect_end(const Outcome& ended, int code) const {
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_THAT(ended.out, Not(HasSubstr("requeue")));
  }

  const std::string run_ = shop_.path("a run"), printed_ = print({"--trimtab", "program"});
};

TEST_F(Preempted, RunsAreQueuedAgain) {
  expect_again(live(75, 0));
  expect_again(live(138, 99));  // warned at once
  expect_end(live(75, 100), 75);
  expect_end(live(0, 0), 0);
  expect_end(live(2, 0), 2);
}

TEST_F(Preempted, RunsOutliveFaultsWhileTheyGetOn) {
  expect_again(live(137, 0));
  expect_again(live(1, 1));
  expect_again(live(139, 2, true));
  expect_again(live(137, 3));
  expect_again(live(137, 4));
  expect_end(live(143, 5), 143);  // the third in a row that saved nothing
  expect_again(live(137, 0));     // somebody submitted it anew
  expect_again(live(137, 1));
  expect_again(live(75, 2));
  expect_again(live(137, 3));
}

// Another job has the folder: neither a fault nor the end of a row of them.
TEST_F(Preempted, RunsWaitWhileTheFolderIsTaken) {
  expect_again(live(69, 0));
  EXPECT_FALSE(std::filesystem::exists(run_));
  expect_again(live(137, 1));
  expect_again(live(137, 2));
  for (int life = 3; life < 7; ++life) expect_again(live(69, life));
  expect_end(live(137, 7), 137);
}

TEST_F(Preempted, TheProgramTellsTheRunsFolder) {
  const Outcome ended = live_in(print({"--set", "output=" + shop_.path("it's a $run")}), 137, 0);
  expect_again(ended);
  EXPECT_EQ(shop_.read("it's a $run/faults"), "1\n") << ended.err;
}

TEST_F(Preempted, TheShippedFilesDoTheSame) {
  std::ifstream file(TRIMTAB_SOURCE "/launch/slurm/again.sh");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  text.erase(0, text.find("\n\n") + 1);
  ASSERT_THAT(text, HasSubstr("end_life()"));
  EXPECT_THAT(printed_, HasSubstr(text));
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

TEST_F(Launch, CountsBelowTheirLeast) {
  for (const char* flag : {"--nodes", "--ranks-per-node", "--cores-per-rank", "--warning", "--at-once"})
    for (const char* count : {"0", "-2"})
      expect_refused({flag, count}, std::string(flag) + ": " + count + " is less than 1; give 1 or more");
  expect_refused({"--gpus-per-node", "-1"}, "--gpus-per-node: -1 is less than 0");
  expect_refused({"--nodes", "two"}, "--nodes");
  EXPECT_EQ(launch({"--gpus-per-node", "0"}).code, 0);
}

TEST_F(Launch, FlagsThatMakeNoSense) {
  expect_refused({"--time", "soon"}, "--time: 'soon'");
  expect_refused({"--time", "10\n#SBATCH --exclusive"}, "--time");
  for (const char* time : {"2", "3", "2:59", "0:03:00"})
    expect_refused({"--time", time}, "--warning: 180 s before the limit of --time ");
  expect_refused({"--time", "1-0", "--warning", "86400"},
                 "--warning: 86400 s before the limit of --time 1-0 ");
  expect_refused({"--partition", "a b"}, "--partition: 'a b'");
  expect_refused({"--account", "me\n"}, "--account");
  expect_refused({"--memory", "64 GB"}, "--memory: '64 GB'");
  expect_refused({"--memory", "1G\n#SBATCH --exclusive"}, "--memory");
  expect_refused({"--sbatch", "--constraint=a\nrm x"}, "--sbatch: '--constraint=a\nrm x' is not one line");
  expect_refused({"--sbatch", "constraint=a100"}, "write --sbatch=--constraint=a100");
  expect_refused({"--setup", "a\nb"}, "--setup: 'a\nb' is not one line");
  expect_refused({"--setup", ""}, "--setup");
  expect_refused({"--launcher", "mpirun", "--memory", "1G"}, "--memory: is for --launcher slurm");
  expect_refused({"--launcher", "mpirun", "--sbatch=--exclusive"}, "--sbatch: is for --launcher slurm");
  expect_refused({"--launcher", "lsf"}, "--launcher");
  expect_refused({"--launcher", "mpirun", "--partition", "gpu"}, "--partition: is for --launcher slurm");
  expect_refused({"--launcher", "mpirun", "--preempt"}, "--preempt");
  expect_refused({"--launcher", "mpirun", "--nodes", "2", "--set", "mesh.data=4"}, "--hosts a:2,b:2");
  expect_refused({"--hosts", "a:1"}, "--hosts: is for --launcher mpirun");
  expect_refused({"--launcher", "mpirun", "--hosts", "a:1,b:2", "--set", "mesh.data=3"},
                 "as many ranks as the others");
  expect_refused({"--launcher", "mpirun", "--hosts", "a:x"}, "'a:x'");
  expect_refused({"--launcher", "mpirun", "--hosts", "a:1,a:1", "--set", "mesh.data=2"},
                 "--hosts: a is named twice");
  expect_refused({"--launcher", "mpirun", "--hosts", "a:1,", "--set", "mesh.data=2"}, "--hosts");
  const Outcome outcome = run_program({"launch", shop_.experiment()});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--print"));
}

}  // namespace
}  // namespace trimtab::testing
