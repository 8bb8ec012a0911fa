// SPDX-License-Identifier: Apache-2.0
//
// Runs that are trained side by side over one frozen model: each ends with the bytes that it ends with alone,
// on one rank and on several, also when they are stopped on the way or one of them diverges.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "experiments/checkpoint.h"
#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr int kInterrupted = 75;

// Methods, learning rates, lengths of training and seeds that differ. `more`: further lines of runs.
std::string comparison(const Workshop& shop, const std::string& more = "") {
  return shop.write("together.yaml",
                    "name: many\noutput: " + shop.path("all") +
                        "\nbase: experiment.yaml\n"
                        "set: [train.micro_batch_tokens=48, train.dropout=0.1]\n"
                        "runs:\n"
                        "  - {name: prompt, set: [method.length=4]}\n"
                        "  - {name: longer, set: [method.length=7, train.steps=9, train.seed=2]}\n"
                        "  - {name: no-dropout, set: [train.dropout=0, optimizer.learning_rate=0.1]}\n"
                        "  - {name: lora, set: [method.name=lora]}\n"
                        "  - {name: prefix, set: [method.name=prefix_tuning, method.length=3]}\n" +
                        more);
}

const std::vector<std::string> kRuns = {"prompt", "longer", "no-dropout", "lora", "prefix"};

void expect_same_run(const Workshop& shop, const std::string& found, const std::string& wanted) {
  SCOPED_TRACE(found);
  for (const char* file : {"last.h5", "best.h5"}) {
    const Checkpoint a(shop.path(found + "/" + file)), b(shop.path(wanted + "/" + file));
    ASSERT_EQ(a.values(), b.values());
    for (const std::string& name : a.values()) EXPECT_TRUE(at::equal(a.value(name), b.value(name))) << name;
    EXPECT_EQ(a.info().step, b.info().step);
    EXPECT_EQ(a.info().best_step, b.info().best_step);
  }
  const Json one = Json::parse(shop.read(found + "/record.json")),
             other = Json::parse(shop.read(wanted + "/record.json"));
  EXPECT_EQ(one.at("scores"), other.at("scores"));
  EXPECT_EQ(one.at("traffic").at("gradient"), other.at("traffic").at("gradient"));
  EXPECT_EQ(one.at("base_sha256_after"), one.at("base_sha256_before"));
}

TEST(Together, EveryRunIsWhatItIsAlone) {
  const Workshop shop;
  const std::string file = comparison(shop);
  ASSERT_EQ(run_program({"compare", file}).code, 0);
  const Outcome together = run_program({"compare", file, "--together", "8", "--output", shop.path("joint")});
  ASSERT_EQ(together.code, 0) << together.err;
  for (const std::string& run : kRuns) expect_same_run(shop, "joint/" + run, "all/" + run);
  EXPECT_EQ(Json::parse(shop.read("joint/lora/record.json")).at("together"), 5);
  EXPECT_EQ(Json::parse(shop.read("all/lora/record.json")).at("together"), 1);
  EXPECT_THAT(run_program({"compare", file, "--together", "8", "--output", shop.path("joint")}).err,
              HasSubstr("many/prefix: finished before"));
}

TEST(Together, OnEveryMesh) {
  const Workshop shop;
  const std::string file = comparison(shop);
  for (const std::string mesh : {"{data: 2}", "{pipe: 2}", "{tensor: 2}", "{data: 2, pipe: 2}"}) {
    SCOPED_TRACE(mesh);
    const int ranks = mesh == "{data: 2, pipe: 2}" ? 4 : 2;
    std::filesystem::remove_all(shop.path("all"));
    std::filesystem::remove_all(shop.path("joint"));
    const std::string set = "mesh=" + mesh;
    ASSERT_EQ(run_on_ranks(ranks, {"compare", file, "--set", set}).code, 0);
    const Outcome together = run_on_ranks(
        ranks, {"compare", file, "--set", set, "--together", "8", "--output", shop.path("joint")});
    ASSERT_EQ(together.code, 0) << together.err;
    for (const std::string& run : kRuns) expect_same_run(shop, "joint/" + run, "all/" + run);
  }
}

TEST(Together, StoppedRunsGoOnTogetherOrAlone) {
  const Workshop shop;
  const std::string file = comparison(shop);
  const std::vector<std::string> longer = {"compare",        file,    "--set",
                                           "train.steps=40", "--set", "train.evaluate_every=4"};
  ASSERT_EQ(run_program(longer).code, 0);
  std::vector<std::string> together = longer;
  together.insert(together.end(), {"--together", "8", "--output", shop.path("joint")});
  const Outcome stopped = run_and_signal(together, 12, SIGTERM);
  ASSERT_EQ(stopped.code, kInterrupted) << stopped.err;
  std::vector<std::string> alone = longer;
  alone.insert(alone.end(), {"--run", "lora", "--output", shop.path("joint")});
  EXPECT_THAT(run_program(alone).err, HasSubstr("going on after step"));
  ASSERT_EQ(run_program(together).code, 0);
  for (const std::string& run : kRuns) expect_same_run(shop, "joint/" + run, "all/" + run);
}

TEST(Together, ARunThatDivergesDoesNotEndTheOthers) {
  const Workshop shop;
  const std::string file =
      comparison(shop, "  - {name: wild, set: [optimizer.name=sgd, optimizer.learning_rate=1e30]}\n");
  const Outcome outcome = run_program({"compare", file, "--together", "8"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("many/wild: after step 2: "), HasSubstr("not finite")));
  EXPECT_EQ(Json::parse(shop.read("all/wild/record.json")).at("status"), "failed");
  for (const std::string& run : kRuns)
    EXPECT_EQ(Json::parse(shop.read("all/" + run + "/record.json")).at("status"), "finished") << run;
}

TEST(Together, WhatCannotShareAFrozenModelRunsByItself) {
  const Workshop shop;
  const std::string other = shop.make_model("other.h5", 7);
  const std::string file = comparison(shop,
                                      "  - {name: whole, set: [method.name=model_tuning]}\n"
                                      "  - {name: zero, set: [method.name=zero_shot]}\n"
                                      "  - {name: other, set: [model.weights=" +
                                          other + "]}\n");
  const Outcome outcome = run_program({"compare", file, "--together", "3"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto together = [&](const std::string& run) {
    return Json::parse(shop.read("all/" + run + "/record.json")).at("together");
  };
  EXPECT_EQ(together("no-dropout"), 3);  // at most three
  EXPECT_EQ(together("prefix"), 2);
  for (const char* run : {"whole", "zero", "other"}) EXPECT_EQ(together(run), 1) << run;
}

}  // namespace
}  // namespace trimtab::testing
