// SPDX-License-Identifier: Apache-2.0
#include "launch/launcher.h"

#include <gmock/gmock.h>

#include <map>

#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using Map = std::map<std::string, std::string>;

LauncherPlace place_in(const Map& values) {
  return find_launcher([&](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  });
}

void expect_place(const Map& values, const std::string& launcher, bool mpi, int rank, int size, int local) {
  const LauncherPlace place = place_in(values);
  EXPECT_EQ(place.launcher, launcher);
  EXPECT_EQ(place.starts_mpi, mpi);
  EXPECT_EQ(place.rank, rank);
  EXPECT_EQ(place.size, size);
  EXPECT_EQ(place.local_rank, local);
}

const Map kMpirun = {{"OMPI_COMM_WORLD_RANK", "5"},
                     {"OMPI_COMM_WORLD_SIZE", "8"},
                     {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                     {"PMIX_RANK", "5"}};
// What a task of `srun` sees, and what a batch script does.
const Map kStep = {{"SLURM_JOB_ID", "17"},        {"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS", "16"},
                   {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "3"},  {"SLURM_LOCALID", "1"}};
const Map kBatch = {{"SLURM_JOB_ID", "17"},
                    {"SLURM_NTASKS", "16"},
                    {"SLURM_PROCID", "0"},
                    {"SLURM_LOCALID", "0"},
                    {"SLURM_NODEID", "0"}};
const Map kTorchrun = {
    {"RANK", "6"}, {"WORLD_SIZE", "7"}, {"LOCAL_RANK", "2"}, {"TORCHELASTIC_RUN_ID", "none"}};

Map both(Map first, const Map& second) {
  first.insert(second.begin(), second.end());
  return first;
}

TEST(Launcher, EachAlone) {
  expect_place({}, "", false, 0, 1, -1);
  expect_place(kMpirun, "Open MPI", true, 5, 8, 1);
  expect_place({{"PMIX_RANK", "2"}}, "PMIx", true, 2, 0, -1);
  expect_place({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}}, "PMI", true, 2, 3, -1);
  expect_place(kStep, "Slurm", false, 3, 4, 1);
  expect_place(kTorchrun, "torchrun", false, 6, 7, 2);
  expect_place({{"RANK", "1"}, {"WORLD_SIZE", "2"}}, "torchrun", false, 1, 2, -1);
}

TEST(Launcher, InnermostWins) {
  expect_place(both(kMpirun, kBatch), "Open MPI", true, 5, 8, 1);
  expect_place(both(kMpirun, kStep), "Open MPI", true, 5, 8, 1);
  expect_place(both(kStep, {{"PMIX_RANK", "3"}}), "PMIx", true, 3, 0, -1);
  expect_place(both(kStep, kTorchrun), "torchrun", false, 6, 7, 2);
  expect_place(both(kStep, {{"RANK", "9"}, {"WORLD_SIZE", "99"}}), "Slurm", false, 3, 4, 1);
}

TEST(Launcher, ABatchScriptIsAProcessAlone) { expect_place(kBatch, "", false, 0, 1, -1); }

TEST(Launcher, ScopesNeverMix) {
  // The size of the job is not the size of a step that does not say its own.
  Map step = kStep;
  step.erase("SLURM_STEP_NUM_TASKS");
  expect_place(step, "", false, 0, 1, -1);
  expect_place(both({{"PMIX_RANK", "2"}}, kBatch), "PMIx", true, 2, 0, -1);
}

TEST(Launcher, ValuesThatMakeNoSenseAreNamed) {
  for (const std::string value : {"", "x", "-1", "3x", "99999999999"})
    EXPECT_THAT(
        [&] {
          place_in({{"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_RANK", value}});
        },
        ThrowsMessage<ConfigError>(HasSubstr("OMPI_COMM_WORLD_RANK")))
        << value;
}

}  // namespace
}  // namespace trimtab
