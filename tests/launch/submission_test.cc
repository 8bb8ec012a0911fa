// SPDX-License-Identifier: Apache-2.0
//
// Files for a benchmark's server: a split whose labels are hidden is predicted in full, by one process and by
// ranks, and what could not be written at the end is said before the model is asked.
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

// An RTE of a few rows, whose two labels the small vocabulary writes as other words.
class SubmissionFiles : public ::testing::Test {
 protected:
  static constexpr int kHidden = 7;

  static void SetUpTestSuite() {
    shop_ = std::make_unique<Workshop>();
    std::filesystem::create_directory(shop_->path("RTE"));
    shop_->write("RTE/train.jsonl", rows(8, true));
    shop_->write("RTE/val.jsonl", rows(6, true));
    shop_->write("RTE/test.jsonl", rows(kHidden, false));
    const Outcome trained = run_program(on_rte("train", {"--set", "train.steps=2"}));
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  static void TearDownTestSuite() { shop_.reset(); }

  static std::string rows(int count, bool labelled) {
    std::string out;
    for (int i = 0; i < count; ++i) {
      Json row = {{"premise", "a warm song number"}, {"hypothesis", "a cold room"}, {"idx", i}};
      if (labelled) row["label"] = i % 2 == 0 ? "entailment" : "not_entailment";
      out += row.dump() + "\n";
    }
    return out;
  }
  static Words on_rte(const std::string& verb, const Words& more) {
    Words out = {verb, shop_->experiment(), "--set",
                 "task={name: superglue/rte, path: " + shop_->path("RTE") + ", label_words: [good, bad]}"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  static std::string refused(const Words& arguments) {
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.out << outcome.err;
    return outcome.err;
  }

  static inline std::unique_ptr<Workshop> shop_;
};

TEST_F(SubmissionFiles, HoldEachHiddenRowOnce) {
  const Words arguments = on_rte(
      "evaluate", {"--split", "test", "--submission", shop_->path("sent/superglue"), "--format", "json"});
  const Outcome outcome = run_program(arguments);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("RTE.jsonl: 7 rows"));
  const Json found = Json::parse(outcome.out);
  EXPECT_EQ(found["examples"], kHidden);
  EXPECT_FALSE(found.contains("metrics")) << outcome.out;
  const std::string one = shop_->read("sent/superglue/RTE.jsonl");
  std::istringstream lines(one);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json row = Json::parse(line);
    EXPECT_EQ(row["idx"], count);
    EXPECT_THAT(row["label"], ::testing::AnyOf("entailment", "not_entailment"));
  }
  EXPECT_EQ(count, kHidden);

  Words on_two = arguments;
  on_two.insert(on_two.end(), {"--set", "mesh.data=2"});
  const Outcome ranks = run_on_ranks(2, on_two);
  ASSERT_EQ(ranks.code, 0) << ranks.err;
  EXPECT_EQ(shop_->read("sent/superglue/RTE.jsonl"), one);
}

TEST_F(SubmissionFiles, OfALabelledSplitComeWithItsScore) {
  const Outcome outcome =
      run_program(on_rte("evaluate", {"--split", "validation", "--submission", shop_->path("dev")}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("accuracy"));
  EXPECT_TRUE(std::filesystem::exists(shop_->path("dev/RTE.jsonl")));
}

TEST_F(SubmissionFiles, AreNotBegunWhereTheyCannotEnd) {
  EXPECT_THAT(refused(on_rte("evaluate", {"--split", "test"})),
              AllOf(HasSubstr("has no targets"), HasSubstr("--submission")));
  EXPECT_THAT(refused({"evaluate", shop_->experiment(), "--checkpoint", shop_->path("run/best.h5"),
                       "--submission", shop_->path("none")}),
              HasSubstr("no benchmark takes"));
  EXPECT_FALSE(std::filesystem::exists(shop_->path("none")));
  const auto with = [&](const std::string& limit, const std::string& split) {
    return on_rte("evaluate", {"--split", split, "--submission", shop_->path("some"), "--set", limit});
  };
  EXPECT_THAT(refused(with("evaluate.max_examples=3", "test")), HasSubstr("evaluate.max_examples: 3"));
  EXPECT_THAT(refused(with("text.dev_rows=3", "validation")), HasSubstr("text.dev_rows: 3"));
  EXPECT_THAT(refused(with("task.max_rows=3", "test")), HasSubstr("max_rows: 3"));
  EXPECT_FALSE(std::filesystem::exists(shop_->path("some")));
  shop_->write("file", "");
  for (const std::string option : {"--submission", "--predictions"}) {
    const Outcome outcome =
        run_program(on_rte("evaluate", {"--split", "test", option, shop_->path("file") + "/x"}));
    EXPECT_NE(outcome.code, 0);
    EXPECT_THAT(outcome.err, HasSubstr(shop_->path("file")));
  }
}

}  // namespace
}  // namespace trimtab::testing
