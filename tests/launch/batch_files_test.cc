// SPDX-License-Identifier: Apache-2.0
//
// The shipped batch files with stand-ins for Slurm's commands. tests/slurm gives them to a real Slurm.
#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

const std::string kFiles = TRIMTAB_SOURCE "/launch/slurm/";

class BatchFiles : public ::testing::Test {
 protected:
  BatchFiles() {
    for (const char* folder : {"bin", "launch/slurm", "build/release/launch"})
      std::filesystem::create_directories(shop_.path(folder));
    std::filesystem::copy_file(kFiles + "again.sh", shop_.path("launch/slurm/again.sh"));
    stand_in("bin/srun", "echo srun \"$@\"");
    stand_in("bin/squeue", "[[ $* != '-h -j 7 -o %T' ]] || echo \"$state\"");
    stand_in("bin/scontrol", "echo scontrol \"$@\"; kill \"$PPID\"");  // Slurm ends the script
    stand_in("launch/mpirun.sh", "echo mpirun.sh \"$trimtab\" \"$@\"");
    stand_in("build/release/launch/trimtab", "echo output: run");
  }
  void stand_in(const std::string& name, const std::string& body) const {
    std::filesystem::permissions(shop_.write(name, "#!/usr/bin/env bash\n" + body + "\n"),
                                 std::filesystem::perms(0755));
  }
  // As Slurm starts it, with these variables.
  Outcome live(const std::string& file, const Words& variables, const std::string& argument) const {
    Words words = {"env",
                   "-u",
                   "launch",
                   "-u",
                   "trimtab",
                   "--chdir=" + shop_.path(""),
                   "PATH=" + shop_.path("bin") + ":/usr/bin:/bin",
                   "SLURM_JOB_ID=7",
                   "SLURM_NTASKS=4",
                   "SLURM_ARRAY_TASK_ID=1",
                   "SLURM_ARRAY_TASK_MAX=1"};
    words.insert(words.end(), variables.begin(), variables.end());
    words.insert(words.end(), {"bash", kFiles + file, argument});
    return run_command(words);
  }
  Workshop shop_;
};

class EachBatchFile : public BatchFiles, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Shipped, EachBatchFile,
                         ::testing::Values("run.sbatch", "requeue.sbatch", "mpirun.sbatch", "array.sbatch"),
                         [](const auto& test) {
                           return std::string(test.param, std::strcspn(test.param, "."));
                         });

TEST_P(EachBatchFile, KnowsWhereTrimtabIs) {
  const auto expect = [&](const Words& variables, const std::string& program) {
    const Outcome outcome = live(GetParam(), variables, "some.yaml");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, ::testing::ContainsRegex(" " + program + " (train|compare) some.yaml"))
        << outcome.err;
  };
  const std::string folder = shop_.path("");
  const std::string program = shop_.path("launch/../build/release/launch/trimtab");
  expect({"SLURM_SUBMIT_DIR=" + folder.substr(0, folder.size() - 1)}, program);
  expect({"SLURM_SUBMIT_DIR=/nowhere", "launch=" + shop_.path("launch")}, program);
  stand_in("other", "echo output: run");
  expect({"SLURM_SUBMIT_DIR=/nowhere", "launch=" + shop_.path("launch"), "trimtab=" + shop_.path("other")},
         shop_.path("other"));
}

TEST_P(EachBatchFile, HasTheLinesThatAClusterMayAskFor) {
  std::ifstream file(kFiles + GetParam());
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("##SBATCH --partition=\n##SBATCH --account=\n##SBATCH --mem=\n"
                              "##SBATCH --gpus-per-node=\n# module load ...\nset -"));
}

// The stand-in signals the batch script, and ends with 75 once it is warned itself.
class SignalledScript : public BatchFiles {
 protected:
  Outcome signalled(const std::string& signal, const std::string& state) const {
    stand_in("launch/mpirun.sh", "trap 'exit 75' USR1; kill -" + signal +
                                     " \"$PPID\"; for ((i = 0; i < 600; ++i)); do sleep 0.1; done");
    return live("mpirun.sbatch", {"launch=" + shop_.path("launch"), "state=" + state}, "some.yaml");
  }
};

TEST_F(SignalledScript, WarnsTheRunAndIsQueuedAgain) {
  for (const char* signal : {"USR1", "TERM"}) {
    const Outcome outcome = signalled(signal, "RUNNING");
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("ended with 75; queued again"), HasSubstr("scontrol requeue 7")))
        << signal << outcome.err;
    EXPECT_EQ(outcome.code, 143) << "Slurm's own signal ends it";
  }
}

TEST_F(SignalledScript, OfAJobThatSlurmEndsQueuesNothing) {
  for (const char* state : {"COMPLETING", ""}) {
    const Outcome outcome = signalled("TERM", state);
    EXPECT_EQ(outcome.code, 75) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

class ArrayFile : public BatchFiles {
 protected:
  Outcome task(int number, int last) const {
    return live(
        "array.sbatch",
        {"launch=" + shop_.path("launch"), "trimtab=" TRIMTAB_PROGRAM,
         "SLURM_ARRAY_TASK_ID=" + std::to_string(number), "SLURM_ARRAY_TASK_MAX=" + std::to_string(last)},
        file_);
  }
  const std::string file_ = shop_.write("seeds.yaml", "name: seeds\noutput: " + shop_.path("all") +
                                                          "\nbase: experiment.yaml\n"
                                                          "grid: {train.seed: [1, 2, 3]}\n");
};

TEST_F(ArrayFile, ATaskTooManyHasNothingToDo) {
  const Outcome last = task(3, 8), beyond = task(4, 8);
  EXPECT_EQ(last.code, 0) << last.err;
  EXPECT_THAT(last.out, HasSubstr(" compare " + file_ + " --run 3\n"));
  EXPECT_EQ(beyond.code, 0) << beyond.err;
  EXPECT_EQ(beyond.out, "task 4 has nothing to do: there are 3 runs\n");
}

TEST_F(ArrayFile, TheFirstTaskSaysThatThereAreTooFew) {
  EXPECT_THAT(task(1, 1).out, AllOf(HasSubstr("warning: 3 runs"), HasSubstr("--array=2-3%4\n"),
                                    HasSubstr(" compare " + file_ + " --run 1\n")));
  EXPECT_THAT(task(1, 3).out, Not(HasSubstr("warning")));
  EXPECT_THAT(task(2, 2).out, Not(HasSubstr("warning")));
}

TEST_F(ArrayFile, AComparisonThatIsNoneIsRefused) {
  std::filesystem::remove(file_);
  const Outcome outcome = task(1, 1);
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

}  // namespace
}  // namespace trimtab::testing
