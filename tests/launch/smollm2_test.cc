// SPDX-License-Identifier: Apache-2.0
//
// Runs on a real model, the file that launch/fetch-smollm2 fetches: its three heads of keys do not divide
// among two tensor ranks.
#include <gmock/gmock.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using Json = nlohmann::json;

class SmolLM2Runs : public ::testing::Test {
 protected:
  void SetUp() override {
    weights_ = std::getenv("TRIMTAB_SMOLLM2_GGUF");
    if (weights_ == nullptr)
      GTEST_SKIP() << "TRIMTAB_SMOLLM2_GGUF is not set: launch/fetch-smollm2 fetches the file";
  }

  // Of two steps and a score.
  std::vector<Json> train(const std::string& run, const std::string& mesh, int ranks) const {
    std::vector<std::string> arguments = {"train",
                                          TRIMTAB_SOURCE "/experiments/quickstart/wordnet-smollm2.yaml"};
    for (const std::string& set :
         {"output=" + shop_.path(run), std::string("model.weights=") + weights_, "mesh=" + mesh,
          std::string("train={steps: 2, batch: 4, micro_batch_tokens: 120, evaluate_every: 2, log_every: 1}"),
          std::string("task.max_validation=10"), std::string("task.max_test=10"),
          "text.cache=" + shop_.path("cache")}) {
      arguments.emplace_back("--set");
      arguments.push_back(set);
    }
    const Outcome outcome = ranks == 1 ? run_program(arguments) : run_on_ranks(ranks, arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::vector<Json> rows;
    std::istringstream lines(shop_.read(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
    return rows;
  }

  Workshop shop_;
  const char* weights_ = nullptr;
};

TEST_F(SmolLM2Runs, MeshesTrainWhatOneProcessDoes) {
  const std::vector<Json> wanted = train("one", "{}", 1);
  ASSERT_GE(wanted.size(), 3U);
  for (const std::string axis : {"data", "pipe", "tensor"}) {
    SCOPED_TRACE(axis);
    const std::vector<Json> found = train(axis, "{" + axis + ": 2}", 2);
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i)
      for (const char* key : {"loss", "gradient_norm", "norm", "score"})
        if (wanted[i].contains(key)) {
          const double value = wanted[i].at(key);
          EXPECT_NEAR(found[i].at(key).get<double>(), value, 1e-4 * value) << key << " " << wanted[i];
        }
  }
}

}  // namespace
}  // namespace trimtab::testing
