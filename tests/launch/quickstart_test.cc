// SPDX-License-Identifier: Apache-2.0
//
// The quickstart's task on eight ranks, from the repository's folder as the README has it, a few steps of it:
// the losses of one process, and as many bytes of gradient as the prompt is long, whatever the model.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::ContainsRegex;
using Json = nlohmann::json;

constexpr int kSteps = 3;

std::vector<std::string> training(const Workshop& shop, const std::string& run, const std::string& mesh) {
  std::vector<std::string> out = {"train", "experiments/quickstart/wordnet.yaml"};
  for (const std::string& setting :
       {"output=" + shop.path(run), "mesh=" + mesh, fmt::format("train.steps={}", kSteps),
        std::string("train.log_every=1"), std::string("train.evaluate_every=0"),
        std::string("train.batch=16"), std::string("model.threads=1"), std::string("task.max_validation=10"),
        std::string("task.max_test=10")})
    out.insert(out.end(), {"--set", setting});
  return program_in(TRIMTAB_SOURCE, out);
}

std::vector<double> losses(const Workshop& shop, const std::string& run) {
  std::vector<double> out;
  std::istringstream lines(shop.read(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);)
    if (const Json row = Json::parse(line); row.at("kind") == "train") out.push_back(row.at("loss"));
  return out;
}

TEST(Quickstart, OnEightRanks) {
  const Workshop shop;
  const Outcome one = run_command(training(shop, "one", "{}"));
  ASSERT_EQ(one.code, 0) << one.err;
  const Outcome eight = run_commands_on_ranks(
      std::vector<std::vector<std::string>>(8, training(shop, "eight", "{data: 2, pipe: 2, tensor: 2}")));
  ASSERT_EQ(eight.code, 0) << eight.err;
  const auto wanted = losses(shop, "one"), found = losses(shop, "eight");
  ASSERT_EQ(wanted.size(), static_cast<std::size_t>(kSteps));
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t step = 0; step < wanted.size(); ++step)
    EXPECT_LT(std::abs(found[step] / wanted[step] - 1), 1e-4) << step;

  // 20 positions of the small T5, loss and count.
  constexpr int kGradientBytes = 4 * (20 * 256 + 2);
  const Json record = Json::parse(shop.read("eight/record.json"));
  EXPECT_EQ(record.at("traffic").at("gradient").at("bytes"), kSteps * kGradientBytes);
  EXPECT_THAT(eight.err, ContainsRegex(fmt::format(
                             "sent a step, by the rank that sends most: tensor [0-9.]+ calls, [0-9]+ bytes "
                             "\\(rank [0-7]\\); pipeline [0-9.]+ calls, [0-9]+ bytes \\(rank [0-7]\\); "
                             "gradient 1 calls, {} bytes \\(rank 0\\)",
                             kGradientBytes)));
  EXPECT_EQ(record.at("scores").size(), 2u) << "validation and test";
}

}  // namespace
}  // namespace trimtab::testing
