// SPDX-License-Identifier: Apache-2.0
//
// What a run leaves in its folder beside what it trained: its environment, a log of each rank, what saving
// cost; and that a start which is refused leaves nothing.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/run_lock.h"
#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

std::vector<std::string> on_two_ranks(const Workshop& shop) {
  return {"train", shop.experiment(), "--set", "mesh.data=2", "--set", "train.micro_batch_tokens=48"};
}

std::string without_end(std::string line) {
  while (line.ends_with('\n')) line.pop_back();
  return line;
}

TEST(RunFolder, SaysWhatTheRunWasStartedWith) {
  const Workshop shop;
  const auto git = [&](const std::vector<std::string>& words) {
    std::vector<std::string> command = {"git",         "-C", shop.path(""),   "-c",
                                        "user.name=t", "-c", "user.email=t@t"};
    command.insert(command.end(), words.begin(), words.end());
    return run_command(command);
  };
  const bool has_git = git({"init", "-q"}).code == 0 && git({"add", "experiment.yaml"}).code == 0 &&
                       git({"commit", "-q", "-m", "first"}).code == 0;
  setenv("NCCL_DEBUG", "WARN", 1);
  setenv("NCCL_AUTH_TOKEN", "hidden", 1);
  setenv("SOME_PASSWORD", "hidden", 1);
  ASSERT_EQ(run_on_ranks(2, on_two_ranks(shop)).code, 0);
  for (const char* name : {"NCCL_DEBUG", "NCCL_AUTH_TOKEN", "SOME_PASSWORD"}) unsetenv(name);
  const std::string text = shop.read("run/environment.json");
  EXPECT_THAT(text, Not(HasSubstr("hidden")));
  const Json told = Json::parse(text);
  EXPECT_EQ(told.at("command").at(1), "train");
  EXPECT_EQ(told.at("command").at(2), shop.experiment());
  EXPECT_EQ(told.at("hosts_of_ranks").size(), 2);
  EXPECT_EQ(told.at("variables").at("NCCL_DEBUG"), "WARN");
  EXPECT_EQ(told.at("variables").at("OMPI_COMM_WORLD_SIZE"), "2");
  EXPECT_NE(told.at("program").at("built_from"), "");
  EXPECT_EQ(told.at("experiment").at("file"), shop.experiment());
  if (!has_git) GTEST_SKIP() << "there is no git";
  EXPECT_EQ(told.at("experiment").at("commit"), without_end(git({"rev-parse", "HEAD"}).out));
  EXPECT_EQ(told.at("experiment").at("dirty"), false);
  shop.write("experiment.yaml", shop.read("experiment.yaml") + "# changed\n");
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  EXPECT_EQ(Json::parse(shop.read("run/environment.json")).at("experiment").at("dirty"), true);
}

TEST(RunFolder, HoldsTheLogOfEachRank) {
  const Workshop shop;
  const Outcome run = run_on_ranks(2, on_two_ranks(shop));
  ASSERT_EQ(run.code, 0) << run.err;
  for (const std::string rank : {"0", "1"})
    EXPECT_THAT(shop.read("run/ranks/rank-" + rank + ".log"),
                AllOf(HasSubstr("rank " + rank + " of 2 on "), HasSubstr("step 3: validation: "),
                      HasSubstr("ends with 0\n")));
  EXPECT_THAT(run.err, Not(HasSubstr("ends with"))) << "is for the files";
  // The next start adds to it, and its error is there, too.
  auto other = on_two_ranks(shop);
  other.insert(other.end(), {"--set", "train.seed=2"});
  ASSERT_EQ(run_on_ranks(2, other).code, 2);
  EXPECT_THAT(shop.read("run/ranks/rank-1.log"),
              AllOf(HasSubstr("ends with 0\n"), HasSubstr("train.seed was 1 and is now 2")));
}

TEST(RunFolder, IsLeftAloneByAStartThatIsRefused) {
  const Workshop shop;
  const auto lock = try_lock_run(shop.path("run"));
  ASSERT_TRUE(lock);
  std::filesystem::create_directories(shop.path("run/ranks"));
  shop.write("run/ranks/rank-0.txt", "of the run that runs");
  const Outcome refused = run_on_ranks(2, on_two_ranks(shop));
  EXPECT_EQ(refused.code, 69);
  EXPECT_THAT(refused.err, HasSubstr("is being run by process "));
  EXPECT_EQ(shop.read("run/ranks/rank-0.txt"), "of the run that runs");
  for (const char* name : {"ranks/rank-1.txt", "ranks/rank-0.log", "ranks/rank-1.log", "environment.json"})
    EXPECT_FALSE(std::filesystem::exists(shop.path("run/") + name)) << name;
}

// While the run trains on, and after it: its files are what is known of its ranks.
TEST(RunFolder, IsLeftAloneByThoseWhoOnlyReadIt) {
  const Workshop shop;
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  const auto names = [&] {
    std::set<std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(shop.path("run/ranks")))
      out.insert(entry.path());
    return out;
  };
  auto lock = try_lock_run(shop.path("run"));
  ASSERT_TRUE(lock);
  for (const char* rank : {"0", "1"})
    shop.write(std::string("run/ranks/rank-") + rank + ".txt", "of the run");
  const std::set<std::string> before = names();
  const std::string log = shop.read("run/ranks/rank-0.log");
  for (const bool trains : {true, false}) {
    if (!trains) lock.reset();
    for (const char* verb : {"evaluate", "predict"}) {
      const Outcome read = run_on_ranks(2, {verb, shop.experiment(), "--set", "mesh.data=2"}, "a song\n");
      EXPECT_EQ(read.code, 0) << read.err;
      EXPECT_EQ(names(), before);
      for (const char* rank : {"0", "1"})
        EXPECT_EQ(shop.read(std::string("run/ranks/rank-") + rank + ".txt"), "of the run") << verb;
      EXPECT_EQ(shop.read("run/ranks/rank-0.log"), log);
    }
  }
}

TEST(RunFolder, OfAJobOfAnArrayIsItsOwn) {
  const Workshop shop;
  const std::string file =
      shop.write("compare.yaml", "name: many\noutput: " + shop.path("all") +
                                     "\nbase: experiment.yaml\ngrid: {train.seed: [1, 2]}\n");
  const Outcome run = run_on_ranks(
      2, {"compare", file, "--run", "2", "--set", "mesh.data=2", "--set", "train.micro_batch_tokens=48"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_FALSE(std::filesystem::exists(shop.path("all/ranks")));
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shop.path("all")))
    found += std::filesystem::exists(entry.path() / "ranks/rank-1.log") &&
             std::filesystem::exists(entry.path() / "environment.json");
  EXPECT_EQ(found, 1);
}

TEST(RunFolder, SaysWhatSavingCostInAllPartsOfTheRun) {
  const Workshop shop;
  ASSERT_EQ(run_on_ranks(2, on_two_ranks(shop)).code, 0);
  // Six steps: saved after two, four and six, and as the best one at least once; the journal also after
  // scores.
  const Json record = Json::parse(shop.read("run/record.json"));
  const Json& saving = record.at("saving");
  EXPECT_GE(saving.at("checkpoints").at("times"), 4);
  EXPECT_GE(saving.at("journal").at("times"), 6);
  for (const char* what : {"checkpoints", "journal"}) EXPECT_GT(saving.at(what).at("seconds"), 0.0) << what;
  ASSERT_EQ(record.at("peak_memory_bytes_of_ranks").size(), 2);
  for (const Json& peak : record.at("peak_memory_bytes_of_ranks"))
    EXPECT_GT(peak.get<std::uint64_t>(), std::uint64_t{64} << 20);
  // The command that finds nothing left to do makes no steps, whose traffic would be other.
  ASSERT_EQ(run_on_ranks(2, on_two_ranks(shop)).code, 0);
  EXPECT_EQ(Json::parse(shop.read("run/record.json")).at("traffic"), record.at("traffic"));
  EXPECT_EQ(record.at("traffic").at("steps"), 6);
  auto longer = on_two_ranks(shop);
  longer.insert(longer.end(), {"--set", "train.steps=8"});
  ASSERT_EQ(run_on_ranks(2, longer).code, 0);
  EXPECT_GE(Json::parse(shop.read("run/record.json")).at("saving").at("journal").at("times"),
            saving.at("journal").at("times").get<int>() + 2);
}

}  // namespace
}  // namespace trimtab::testing
