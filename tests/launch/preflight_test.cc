// SPDX-License-Identifier: Apache-2.0
//
// `trimtab preflight` as a user starts it: alone, on 4 and 8 ranks, and on machines with a fault each, which
// it names (bad_machine.cc).
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "experiments/machine.h"
#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

class Preflight : public ::testing::Test {
 protected:
  std::vector<std::string> arguments(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> out = {"preflight", "--folder", shop_.path("shared")};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  // Names of what is in the folder, which need not be there.
  std::vector<std::string> left(const std::string& folder = "shared") const {
    std::vector<std::string> out;
    if (!std::filesystem::exists(shop_.path(folder))) return out;
    for (const auto& entry : std::filesystem::directory_iterator(shop_.path(folder)))
      out.push_back(entry.path().filename());
    return out;
  }
  Workshop shop_;
};

TEST_F(Preflight, Alone) {
  const Outcome outcome = run_program(arguments());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("1 rank on 1 host"), HasSubstr(host_name()), HasSubstr("no fault")));
  EXPECT_FALSE(std::filesystem::exists(shop_.path("shared"))) << "what was made for it goes again";
}

TEST_F(Preflight, OnFourRanksOfTwoHostsWithAReport) {
  setenv("TRIMTAB_RANKS_A_HOST", "2", 1);
  const Outcome outcome = run_faulty_on_ranks(
      4, "", arguments({"--set", "mesh={data: 2, tensor: 2}", "--json", shop_.path("r.json")}));
  unsetenv("TRIMTAB_RANKS_A_HOST");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("4 ranks on 2 hosts: data 2 x pipe 1 x tensor 2"),
                                 HasSubstr("clock"), HasSubstr("no fault"), Not(HasSubstr("WRONG"))));
  const Json report = Json::parse(shop_.read("r.json"));
  EXPECT_THAT(report.at("faults"), IsEmpty());
  ASSERT_EQ(report.at("ranks").size(), 4);
  for (int rank = 0; rank < 4; ++rank) {
    const Json& facts = report.at("ranks")[static_cast<std::size_t>(rank)];
    EXPECT_EQ(facts.at("rank"), rank);
    EXPECT_EQ(facts.at("launcher"), "Open MPI");
    EXPECT_EQ(facts.at("local_rank"), rank);  // MPI knows that it is one host
    EXPECT_EQ(facts.at("data"), rank / 2);
    EXPECT_EQ(facts.at("tensor"), rank % 2);
    EXPECT_EQ(facts.at("host"), rank < 2 ? "host0" : "host1");
    EXPECT_TRUE(facts.at("versions").contains("program"));
  }
  // One clock after all.
  const Json& other = report.at("hosts")[1];
  EXPECT_LE(std::abs(other.at("clock_seconds").get<double>()),
            other.at("clock_uncertainty_seconds").get<double>() + 1e-6);
  for (const Json& axis : report.at("axes"))
    EXPECT_EQ(axis.at("speeds").size(), axis.at("ranks") == 1 ? 0 : 4) << axis;
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Preflight, OnEightRanksWithTheExperiment) {
  const Outcome outcome =
      run_on_ranks(8, {"preflight", shop_.experiment(), "--set", "mesh={data: 2, pipe: 2, tensor: 2}"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("8 ranks on 1 host"), HasSubstr("no fault"), HasSubstr("fits into memory")));
  EXPECT_FALSE(std::filesystem::exists(shop_.path("run/ranks")));
  EXPECT_THAT(left("run"), Not(Contains(StartsWith(".preflight"))));
}

TEST_F(Preflight, RanksAreReplicasIfNothingIsSaid) {
  const Outcome outcome = run_on_ranks(2, arguments());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("data 2 x pipe 1 x tensor 1"));
}

TEST_F(Preflight, AWrongSumNamesTheRankAndTheAxis) {
  const Outcome outcome = run_faulty_on_ranks(4, "2 sum", arguments({"--set", "mesh={data: 2, pipe: 2}"}));
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("FIRST FAULT: rank 2 on " + host_name() +
                                           ": values on data: all_reduce sum of 1000 "
                                           "float32 on 'data' of ranks 0, 2: element 0 is "),
                                 HasSubstr("WRONG")));
}

TEST_F(Preflight, RanksOfTheLauncherOfAnotherMpi) {
  setenv("PMI_RANK", "1", 1);
  setenv("PMI_SIZE", "4", 1);
  const Outcome outcome = run_program(arguments({"--set", "mesh.data=4"}));
  unsetenv("PMI_RANK");
  unsetenv("PMI_SIZE");
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("FIRST FAULT: rank 0 on " + host_name() +
                                           ": launcher: PMI says that it started 4 ranks, but "),
                                 HasSubstr(" knows of 1: start them with the mpirun of ")));
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Preflight, VersionsThatDiffer) {
  const Outcome outcome = run_faulty_on_ranks(4, "3 version", arguments());
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("FIRST FAULT: rank 3 on "),
                                 HasSubstr("versions: trimtab is 9.9.9 on rank 3, but ")));
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Preflight, AFolderThatIsNotShared) {
  // The same relative name in two places.
  std::vector<std::vector<std::string>> commands;
  for (const char* place : {"one", "two"}) {
    std::filesystem::create_directories(shop_.path(place));
    commands.push_back(program_in(shop_.path(place), {"preflight", "--folder", "runs"}));
  }
  const Outcome outcome = run_commands_on_ranks(commands);
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("FIRST FAULT: rank 0 on " + host_name() +
                                           ": shared folder: " + shop_.path("one/runs") +
                                           ": what rank 1 wrote there is not seen here"),
                                 HasSubstr("also: rank 1"), HasSubstr("a file system that all hosts share")));
  for (const char* folder : {"one/runs", "two/runs"}) EXPECT_THAT(left(folder), IsEmpty());
}

TEST_F(Preflight, ARankThatHangsIsNamed) {
  const Outcome outcome = run_faulty_on_ranks(4, "1 stop", arguments({"--timeout", "4"}));
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("ends the job"), HasSubstr("rank 1 on " + host_name()),
                                 Not(HasSubstr("did last is in"))));
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_THAT(processes_left(shop_.path("shared")), IsEmpty());
}

TEST_F(Preflight, RequestsThatCannotBeHad) {
  Outcome outcome = run_on_ranks(2, arguments({"--set", "mesh.pipe=3"}));
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("mesh"));
  EXPECT_THAT(left(), IsEmpty());
  outcome = run_program(arguments({"--set", "train.steps=3"}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("train"));
}

TEST_F(Preflight, ThreadsAreThoseOfTheEnvironment) {
  const char* before = std::getenv("OMP_NUM_THREADS");
  const std::string restored = before != nullptr ? before : "";
  const int threads = usable_cores() + 1;
  setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 1);
  const Outcome outcome = run_program(arguments({"--json", shop_.path("r.json")}));
  if (before != nullptr)
    setenv("OMP_NUM_THREADS", restored.c_str(), 1);
  else
    unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Json::parse(shop_.read("r.json")).at("ranks")[0].at("threads"), threads);
  EXPECT_THAT(outcome.out,
              HasSubstr("cores: 1 ranks with " + std::to_string(threads) + " threads each share "));
}

TEST_F(Preflight, OptionsThatCannotBe) {
  Outcome outcome = run_on_ranks(2, {"preflight", "--folder", "/proc/x"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("FIRST FAULT: rank 0 on " + host_name() + ": shared folder: /proc/x/"),
                    HasSubstr("name a folder that every rank may write to, with --folder")));
  outcome = run_program(arguments({"--timeout", "0"}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--timeout: 0 is no time to wait; name a number of seconds above 0"));
  outcome = run_on_ranks(2, arguments({"--json", shop_.path("none/report.json")}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("--json: " + shop_.path("none/report.json")), HasSubstr("name another file")));
  EXPECT_THAT(outcome.out, Not(HasSubstr("no fault"))) << "said before the work";
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Preflight, AnExperimentThatDoesNotFitIntoTheMemoryOfOneRank) {
  const Outcome outcome =
      run_faulty_on_ranks(2, "1 memory", {"preflight", shop_.experiment(), "--set", "mesh.data=2"});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("no fault"));
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("rank 1 of 2 on " + host_name()), HasSubstr("memory")));
  EXPECT_THAT(left("run"), Not(Contains(StartsWith(".preflight"))));
}

}  // namespace
}  // namespace trimtab::testing
