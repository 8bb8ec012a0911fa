// SPDX-License-Identifier: Apache-2.0
//
// `trimtab plan` of an experiment: its bytes are those of the record of a run over MPI, nothing is left but
// what was asked for, and what makes no sense is refused with the exit code 2.
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

Json own_mesh(const Json& plan) {
  for (const Json& mesh : plan.at("meshes"))
    if (mesh.at("own")) return mesh;
  return {};
}

TEST(Plan, RunsInOneProcess) {
  const Workshop shop;
  const Outcome outcome = run_on_ranks(2, {"plan", shop.experiment()});
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("trimtab plan runs in one process; start it without mpirun"));
}

TEST(Plan, BytesAreThoseOfARun) {
  const Workshop shop;
  const std::vector<std::pair<int, std::string>> meshes = {{8, "{data: 2, pipe: 2, tensor: 2}"},
                                                           {4, "{data: 2, tensor: 2}"},
                                                           {3, "{pipe: 3}"},
                                                           {2, "{tensor: 2, sequence_parallel: true}"}};
  for (const auto& [ranks, mesh] : meshes) {
    const std::string run = "run" + std::to_string(ranks);
    const std::vector<std::string> settings = {
        "--set", "mesh=" + mesh, "--set", "output=" + shop.path(run), "--set", "train.micro_batch_tokens=48"};
    std::vector<std::string> train = {"train", shop.experiment()}, plan = {"plan", shop.experiment()};
    train.insert(train.end(), settings.begin(), settings.end());
    train.insert(train.end(), {"--set", "train.steps=4"});
    plan.insert(plan.end(), settings.begin(), settings.end());
    plan.insert(plan.end(), {"--device", "h100", "--json", shop.path("plan.json"), "--overwrite"});
    const Outcome planned = run_program(plan);
    ASSERT_EQ(planned.code, 0) << planned.err;
    EXPECT_THAT(planned.out, AllOf(HasSubstr("(the experiment's)"), HasSubstr("the training split of")));
    const Outcome trained = run_on_ranks(ranks, train);
    ASSERT_EQ(trained.code, 0) << trained.err;
    const Json record = Json::parse(shop.read(run + "/record.json")).at("traffic");
    const Json written = Json::parse(shop.read("plan.json"));
    ASSERT_EQ(record.at("steps"), written.at("planned_steps"));
    const Json planned_mesh = own_mesh(written);
    const Json& stages = planned_mesh.at("stages");
    const auto tensor = planned_mesh.at("tensor").get<std::size_t>();
    for (std::size_t stage = 0; stage < stages.size(); ++stage) {
      // That of its first tensor rank in the first replica is planned.
      const Json& counted = record.at("of_ranks").at(stage * tensor);
      for (const std::string purpose : {"tensor", "pipeline", "gradient", "control"})
        EXPECT_EQ(stages[stage].at("traffic_of_planned_steps").at(purpose).at("bytes"),
                  counted.at(purpose).at("bytes"))
            << purpose << " of stage " << stage << " on " << mesh;
    }
  }
}

TEST(Plan, DrawsMemoryAndSchedule) {
  const Workshop shop;
  const Outcome outcome =
      run_program({"plan", shop.experiment(), "--set", "mesh.pipe=2", "--set", "train.micro_batch_tokens=48",
                   "--device", "h100", "--picture", shop.path("pictures")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(shop.read("pictures/memory.dat"), AllOf(HasSubstr("\"stage 0: "), HasSubstr("\"stage 1: ")));
  EXPECT_THAT(shop.read("pictures/memory.gp"), HasSubstr("h100: 74.5 GiB"));
  EXPECT_THAT(shop.read("pictures/timeline.dat"), HasSubstr("\n\n# backward\n"));
  EXPECT_THAT(shop.read("pictures/timeline.gp"), HasSubstr("'stage 1' 1"));
  if (run_command({"gnuplot", "--version"}).code != 0) return;
  for (const char* picture : {"pictures/memory.png", "pictures/timeline.png"})
    EXPECT_THAT(shop.read(picture), HasSubstr("PNG")) << picture << '\n' << outcome.err;
}

TEST(Plan, RefusesWhatMakesNoSense) {
  const Workshop shop;
  const auto plan = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"plan", shop.experiment()});
    return run_program(more);
  };
  const auto expect_refused = [](const Outcome& outcome, const std::string& words) {
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(words));
  };
  expect_refused(plan({"--device", "h10"}), "did you mean 'h100'");
  expect_refused(plan({"--device", "h100", "--ranks", "12", "--nodes", "2", "--gpus-per-node", "8"}),
                 "12 are not 2 nodes of 8");
  expect_refused(plan({"--ranks", "2,4"}), "--ranks");
  for (const std::string flag : {"--nodes", "--gpus-per-node", "--ranks"})
    for (const std::string count : {"0", "-2"})
      expect_refused(plan({flag, count}), flag + ": " + count + " is less than 1");
  expect_refused(plan({"--ranks", "4,0"}), "--ranks: 0 is less than 1");
  expect_refused(plan({"--tokens", "12"}), "--tokens");
  expect_refused(plan({"--set", "train.stepps=3"}), "steps");
  expect_refused(run_program({"plan"}), "experiment file");
  const Outcome unwritten = plan({"--device", "h100", "--json", shop.path("none/plan.json")});
  expect_refused(unwritten, "--json: " + shop.path("none/plan.json"));
  EXPECT_EQ(unwritten.out, "") << "said before the work";
  const std::string before = shop.write("plan.json", "{}");
  const Outcome taken = plan({"--device", "h100", "--json", before});
  expect_refused(taken, before + ": is there already; name another path, or add --overwrite");
  EXPECT_EQ(taken.out, "") << "said before the work";
  EXPECT_EQ(shop.read("plan.json"), "{}");
  // 11 ranks: no factor divides batch or heads, and there are not so many layers.
  const Outcome none = plan({"--device", "h100", "--ranks", "11", "--nodes", "1", "--gpus-per-node", "11"});
  expect_refused(none, "refused on every mesh of 11 ranks");
  EXPECT_THAT(none.out, HasSubstr("mesh.tensor: 11 ranks for 2 heads"));
}

TEST(Plan, ReadsNoWeightsAndLeavesNoRun) {
  const Workshop shop;
  const Outcome outcome = run_program({"plan", shop.experiment(), "--tokens", "10,3", "--device", "a100"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("as given"), HasSubstr("1 rank on 1 node: a100")));
  EXPECT_FALSE(std::filesystem::exists(shop.path("run/record.json")));
}

}  // namespace
}  // namespace trimtab::testing
