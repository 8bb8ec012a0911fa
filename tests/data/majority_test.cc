// SPDX-License-Identifier: Apache-2.0
#include "data/majority.h"

#include <gmock/gmock.h>

#include "data/tasks/jsonl.h"

namespace trimtab {
namespace {

std::vector<TextExample> examples_of(const std::vector<std::string>& targets) {
  std::vector<TextExample> out;
  for (const std::string& target : targets) out.push_back({.target = target});
  return out;
}

TEST(Majority, IsTheShareOfTheMostFrequentLabel) {
  const auto task = make_jsonl({.train = "t", .labels = {"no", "yes", "maybe"}});
  EXPECT_EQ(majority_score(*task, examples_of({"yes", "no", "yes", "maybe"})), 50);
  EXPECT_EQ(majority_score(*task, examples_of({"maybe", "maybe", "maybe"})), 100);
  EXPECT_EQ(majority_score(*task, examples_of({"yes", "no", "maybe", "maybe", "no"})), 40);
}

// The metric of the task counts, not accuracy: of a tie the first class is answered.
class LastClassOnly final : public Task {
 public:
  std::string name() const override { return "test/last"; }
  std::vector<std::string> labels() const override { return {"a", "b"}; }
  std::vector<std::string> splits() const override { return {"train"}; }
  std::vector<TextExample> load(const std::string&) const override { return {}; }
  Scores score(const std::vector<std::string>& predictions,
               const std::vector<TextExample>& examples) const override {
    double hits = 0;
    for (const std::string& prediction : predictions) hits += prediction == "b" ? 1 : 0;
    return {{{"hits", hits}}, "hits", examples.size(), 0};
  }
};

TEST(Majority, UsesTheMetricOfTheTask) {
  EXPECT_EQ(majority_score(LastClassOnly(), examples_of({"b", "a", "b"})), 3);
  EXPECT_EQ(majority_score(LastClassOnly(), examples_of({"b", "a"})), 0);
}

TEST(Majority, IsNothingForFreeText) {
  const auto task = make_jsonl({.train = "t"});
  EXPECT_EQ(majority_score(*task, examples_of({"x"})), std::nullopt);
}

}  // namespace
}  // namespace trimtab
