// SPDX-License-Identifier: Apache-2.0
//
// One rank of a 2 x 2 job is asked to end, wherever it is: all ranks end with 75, and the same command goes
// on to the bytes of an undisturbed run.
#include <gmock/gmock.h>

#include <filesystem>
#include <ostream>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kInterrupted = 75;

struct Request {
  std::string name;
  std::string fault;  // of faulty.cc
  bool saved = true;

  // In the names of tests.
  friend void PrintTo(const Request& it, std::ostream* out) { *out << it.name; }
};

class Preemption : public ::testing::TestWithParam<Request> {};

TEST_P(Preemption, OfOneRankEndsAllAndNothingIsLost) {
  const Workshop shop;
  const std::vector<std::string> arguments = {"train", shop.experiment(),
                                              "--set", "output=" + shop.path("run"),
                                              "--set", "mesh={data: 2, pipe: 2}",
                                              "--set", "train.checkpoint_every=0",
                                              "--set", "train.evaluate_every=4",
                                              "--set", "train.steps=16",
                                              "--set", "train.micro_batch_tokens=48",
                                              "--set", "evaluate.batch_tokens=48"};
  ASSERT_EQ(run_on_ranks(4, arguments).code, 0);
  const std::string last = shop.read("run/last.h5"), best = shop.read("run/best.h5");
  std::filesystem::remove_all(shop.path("run"));

  const Outcome asked = run_faulty_on_ranks(4, GetParam().fault, arguments);
  EXPECT_EQ(asked.code, kInterrupted) << asked.err;
  ASSERT_EQ(std::filesystem::exists(shop.path("run/last.h5")), GetParam().saved) << asked.err;
  if (GetParam().saved) {
    EXPECT_THAT(shop.read("run/record.json"), HasSubstr("\"status\": \"interrupted\""));
    EXPECT_THAT(asked.err, HasSubstr("the same command goes on"));
  }
  EXPECT_FALSE(shop.read("run/last.h5") == last) << "it was not stopped early";

  const Outcome resumed = run_on_ranks(4, arguments);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_TRUE(shop.read("run/last.h5") == last);
  EXPECT_TRUE(shop.read("run/best.h5") == best);
}

INSTANTIATE_TEST_SUITE_P(Ranks, Preemption,
                         ::testing::Values(Request{"AtStartUp", "3 start-up/operation 5 ask", false},
                                           Request{"InForward", "1 forward 30 ask"},
                                           Request{"InBackward", "2 backward 10 ask"},
                                           Request{"InDecoding", "3 decoding 12 ask"}),
                         [](const auto& tested) { return tested.param.name; });

TEST(Preemption, EvaluatingEndsWithTheSameCode) {
  const Workshop shop;
  ASSERT_EQ(run_program({"train", shop.experiment()}).code, 0);
  const Outcome asked = run_faulty_on_ranks(4, "2 decoding 1 ask",
                                            {"evaluate", shop.experiment(), "--set",
                                             "mesh={data: 2, pipe: 2}", "--set", "evaluate.batch_tokens=48"});
  EXPECT_EQ(asked.code, kInterrupted) << asked.err;
  EXPECT_EQ(asked.out.find("accuracy"), std::string::npos) << asked.out;
}

}  // namespace
}  // namespace trimtab::testing
