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

Variables variables_of(const Map& values) {
  return [&values](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

LauncherPlace place_in(const Map& values) { return find_launcher(variables_of(values)); }

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

TEST(Launcher, CoresOfATaskAreThoseOfSlurmsOwnTasksOnly) {
  const Map cores = {{"SLURM_CPUS_PER_TASK", "4"}};
  const auto of = [&](const Map& values) {
    const Map all = both(values, cores);
    return cores_of_task(variables_of(all));
  };
  EXPECT_EQ(of(kStep), 4);
  EXPECT_EQ(of(both(kStep, {{"PMIX_RANK", "3"}, {"PMIX_NAMESPACE", "slurm.pmix.17.0"}})), 4);
  EXPECT_EQ(of(kBatch), 0);
  EXPECT_EQ(of(both(kStep, kMpirun)), 0);
  EXPECT_EQ(cores_of_task(variables_of(kStep)), 0);
}

TEST(Launcher, ThreadsThatTheEnvironmentWants) {
  const auto of = [](const std::string& text) {
    const Map all = {{"OMP_NUM_THREADS", text}};
    return threads_wanted(variables_of(all));
  };
  EXPECT_EQ(of("4"), 4);
  EXPECT_EQ(of("4,2"), 4);
  EXPECT_EQ(threads_wanted(variables_of({})), 0);
  for (const std::string text : {"0", "-1", "many", "4x"})
    EXPECT_THAT([&] { of(text); },
                ThrowsMessage<ConfigError>(HasSubstr("OMP_NUM_THREADS of the environment is '" + text)));
}

// A task of `srun --mpi=pmix` on the second of three nodes.
const Map kPmixStep = both(kStep, {{"PMIX_RANK", "3"},
                                   {"PMIX_NAMESPACE", "slurm.pmix.17.0"},
                                   {"SLURM_NODEID", "1"},
                                   {"SLURM_STEP_NODELIST", "node[1-2],gpu-a"},
                                   {"SLURM_STEP_TASKS_PER_NODE", "2(x2),1"},
                                   {"SLURM_RESTART_COUNT", "2"}});

TEST(Launcher, EachAlone) {
  expect_place({}, "", false, 0, 1, -1);
  expect_place(kMpirun, "Open MPI", true, 5, 8, 1);
  expect_place({{"MV2_COMM_WORLD_RANK", "3"},
                {"MV2_COMM_WORLD_SIZE", "4"},
                {"MV2_COMM_WORLD_LOCAL_RANK", "1"},
                {"MV2_COMM_WORLD_LOCAL_SIZE", "2"}},
               "MVAPICH", true, 3, 4, 1);
  expect_place({{"PMIX_RANK", "2"}}, "PMIx", true, 2, 0, -1);
  expect_place({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}}, "PMI", true, 2, 3, -1);
  expect_place({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}, {"MPI_LOCALRANKID", "0"}}, "PMI", true, 2, 3, 0);
  expect_place(kStep, "Slurm", false, 3, 4, 1);
  expect_place(kTorchrun, "torchrun", false, 6, 7, 2);
  expect_place({{"RANK", "1"}, {"WORLD_SIZE", "2"}}, "torchrun", false, 1, 2, -1);
}

// Nothing tells mpirun inside torchrun from torchrun inside mpirun.
TEST(Launcher, OfTwoThatLookAlikeInsideTheOneOfMpiCounts) {
  expect_place(both(kMpirun, kTorchrun), "Open MPI", true, 5, 8, 1);
  expect_place(both(kPmixStep, kTorchrun), "Slurm", true, 3, 4, 1);
  expect_place(both(both(kMpirun, kPmixStep), kTorchrun), "Open MPI", true, 5, 8, 1);
}

TEST(Launcher, InnermostWins) {
  expect_place(both(kMpirun, kBatch), "Open MPI", true, 5, 8, 1);
  expect_place(both(kMpirun, kStep), "Open MPI", true, 5, 8, 1);
  expect_place(both(kStep, {{"PMIX_RANK", "3"}}), "PMIx", true, 3, 0, -1);
  expect_place(both(kStep, kTorchrun), "torchrun", false, 6, 7, 2);
  expect_place(both(kStep, {{"RANK", "9"}, {"WORLD_SIZE", "99"}}), "Slurm", false, 3, 4, 1);
}

TEST(Launcher, PmixOfAStepIsTheStep) {
  expect_place(kPmixStep, "Slurm", true, 3, 4, 1);
  // Another launcher's PMIx inside the step is not.
  Map inside = kPmixStep;
  inside["PMIX_NAMESPACE"] = "prterun-node2-99@1";
  expect_place(inside, "PMIx", true, 3, 0, -1);
  inside["PMIX_NAMESPACE"] = "slurm.pmix.17.1";
  expect_place(inside, "PMIx", true, 3, 0, -1);
  expect_place(both(kMpirun, kPmixStep), "Open MPI", true, 5, 8, 1);
}

TEST(Launcher, HostsAndTheirRanks) {
  LauncherPlace place = place_in(kPmixStep);
  EXPECT_EQ(place.local_size, 2);
  EXPECT_EQ(place.node, 1);
  EXPECT_THAT(place.nodes, testing::ElementsAre("node1", "node2", "gpu-a"));
  place = place_in(both(kMpirun, both({{"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}}, kPmixStep)));
  EXPECT_EQ(place.local_size, 4);
  EXPECT_EQ(place.node, -1);  // the step's, not mpirun's
  EXPECT_THAT(place.nodes, testing::IsEmpty());
  place = place_in(both(kTorchrun, {{"LOCAL_WORLD_SIZE", "3"}, {"GROUP_RANK", "2"}}));
  EXPECT_EQ(place.local_size, 3);
  EXPECT_EQ(place.node, 2);
  place = place_in({});
  EXPECT_EQ(place.local_size, 0);
  EXPECT_EQ(place.node, -1);
}

TEST(Launcher, TheNumberOfRestartsIsTheJobs) {
  const auto restarts = [](const Map& values) {
    return restarts_of([&](const std::string& name) -> std::optional<std::string> {
      const auto found = values.find(name);
      if (found == values.end()) return std::nullopt;
      return found->second;
    });
  };
  EXPECT_EQ(restarts({}), 0);
  EXPECT_EQ(restarts(kBatch), 0);  // its first life
  EXPECT_EQ(restarts(kPmixStep), 2);
}

TEST(Launcher, JobsHaveNames) {
  const auto name = [](const Map& values) {
    return job_name([&](const std::string& variable) -> std::optional<std::string> {
      const auto found = values.find(variable);
      if (found == values.end()) return std::nullopt;
      return found->second;
    });
  };
  EXPECT_EQ(name({}), "");
  EXPECT_EQ(name(kBatch), "");  // of which a script may start several
  EXPECT_EQ(name(kStep), "17.0");
  EXPECT_EQ(name(kPmixStep), "slurm.pmix.17.0");
  EXPECT_EQ(name(both({{"PMIX_NAMESPACE", "prterun-node/2-99@1"}}, kPmixStep)), "prterun-node_2-99_1");
}

TEST(Launcher, ListsOfNodes) {
  const auto nodes = [](const std::string& text) { return expand_nodes(text, "LIST"); };
  EXPECT_THAT(nodes("vm"), testing::ElementsAre("vm"));
  EXPECT_THAT(nodes("node[1-2]"), testing::ElementsAre("node1", "node2"));
  EXPECT_THAT(nodes("node[07-10,12],gpu-a,b[3]"),
              testing::ElementsAre("node07", "node08", "node09", "node10", "node12", "gpu-a", "b3"));
  for (const std::string bad :
       {"", ",", "a,", ",a", "a[1", "a[2-1]", "a[]", "a[x]", "a[1]b", "a]", "a[1,]", "a[1--2]"})
    EXPECT_THAT([&] { nodes(bad); }, ThrowsMessage<ConfigError>(HasSubstr("LIST"))) << bad;
}

TEST(Launcher, CountsOfTasks) {
  const auto counts = [](const std::string& text) { return expand_counts(text, "COUNTS"); };
  EXPECT_THAT(counts("4(x2),3"), testing::ElementsAre(4, 4, 3));
  EXPECT_THAT(counts("1"), testing::ElementsAre(1));
  for (const std::string bad : {"", ",", "4,", "x", "4(x0)", "4(x", "4(x2", "4(y2)", "-1", "4(x99999999)"})
    EXPECT_THAT([&] { counts(bad); }, ThrowsMessage<ConfigError>(HasSubstr("COUNTS"))) << bad;
}

TEST(Launcher, AStepWhoseListsDoNotFit) {
  Map step = kPmixStep;
  step["SLURM_NODEID"] = "3";
  EXPECT_THAT([&] { place_in(step); }, ThrowsMessage<ConfigError>(HasSubstr("SLURM_STEP_TASKS_PER_NODE")));
}

TEST(Launcher, ADeviceForEachRank) {
  const Variables none = [](const std::string&) { return std::nullopt; };
  const Variables two = [](const std::string& name) -> std::optional<std::string> {
    if (name == "CUDA_VISIBLE_DEVICES") return "0,3";
    return std::nullopt;
  };
  EXPECT_EQ(device_of(3, 4, 4, none), 3);
  EXPECT_EQ(device_of(1, 2, 8, none), 1);
  EXPECT_EQ(device_of(3, 4, 1, none), 0);  // one of its own
  EXPECT_THAT([&] { device_of(1, 4, 2, two); },
              ThrowsMessage<ConfigError>(testing::AllOf(HasSubstr("4 ranks on this host"),
                                                        HasSubstr("sees 2 devices"),
                                                        HasSubstr("CUDA_VISIBLE_DEVICES is '0,3'"))));
  EXPECT_THAT([&] { device_of(0, 1, 0, none); }, ThrowsMessage<ConfigError>(HasSubstr("sees 0 devices")));
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
