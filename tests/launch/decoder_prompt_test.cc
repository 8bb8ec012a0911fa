// SPDX-License-Identifier: Apache-2.0
//
// A run whose prompt stands in front of the decoder's input as well, and what cannot be done with it.
#include <gmock/gmock.h>

#include <filesystem>

#include "launch/program.h"

namespace trimtab::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kMethod = "method={name: prompt_tuning, length: 4, decoder_length: 3, init: uniform}";

class DecoderPromptRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shop_ = std::make_unique<Workshop>();
    const Outcome trained = run_program({"train", shop_->experiment(), "--set", kMethod});
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  static void TearDownTestSuite() { shop_.reset(); }

  static std::string refused(const std::vector<std::string>& arguments) {
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.out << outcome.err;
    return outcome.err;
  }
  static std::string run() { return shop_->path("run/best.h5"); }

  static inline std::unique_ptr<Workshop> shop_;
};

TEST_F(DecoderPromptRun, GivesTheSameAnswersOnEveryMesh) {
  const auto scores = [](int ranks, const std::string& mesh) {
    const Outcome out =
        run_on_ranks(ranks, {"evaluate", shop_->experiment(), "--set", kMethod, "--checkpoint", run(),
                             "--predictions", shop_->path("answers.jsonl"), "--set", mesh});
    EXPECT_EQ(out.code, 0) << out.err;
    return out.out + shop_->read("answers.jsonl");
  };
  const std::string one = scores(1, "mesh={}");
  EXPECT_EQ(scores(2, "mesh={pipe: 2}"), one);
  EXPECT_EQ(scores(2, "mesh={tensor: 2}"), one);
}

TEST_F(DecoderPromptRun, IsTheBeginningOfAnotherRun) {
  const std::vector<std::string> next = {"train", shop_->experiment(),
                                         "--set", "method.init=file",
                                         "--set", "method.init_file=" + run(),
                                         "--set", "output=" + shop_->path("next"),
                                         "--set", "train.steps=1"};
  EXPECT_THAT(refused(next), HasSubstr("set method.decoder_length: 3"));
  std::vector<std::string> both = next;
  both.insert(both.end(), {"--set", "method.decoder_length=3"});
  const Outcome begun = run_program(both);
  EXPECT_EQ(begun.code, 0) << begun.err;
  ASSERT_EQ(run_program({"train", shop_->experiment(), "--set", "output=" + shop_->path("plain")}).code, 0);
  both[5] = "method.init_file=" + shop_->path("plain/best.h5");
  std::filesystem::remove_all(shop_->path("next"));
  EXPECT_THAT(refused(both), HasSubstr("holds no rows in front of the decoder's input"));
}

TEST_F(DecoderPromptRun, IsRefusedWhereItWouldBeLeftOut) {
  EXPECT_THAT(refused({"export", run(), shop_->path("adapter")}),
              HasSubstr("PEFT uses rows in front of the encoder's"));
  EXPECT_FALSE(std::filesystem::exists(shop_->path("adapter")));
  EXPECT_THAT(refused({"export", run(), shop_->path("prompt.npy")}), HasSubstr("others have no form"));
  EXPECT_THAT(refused({"evaluate", shop_->experiment(), "--prompt", "a=" + run()}),
              AllOf(HasSubstr("best.h5"), HasSubstr("--checkpoint only")));
  const std::string llama = shop_->make_llama("llama.h5", 1);
  EXPECT_THAT(refused({"train", shop_->experiment(), "--set", kMethod, "--set", "model.weights=" + llama,
                       "--set", "output=" + shop_->path("llama")}),
              AllOf(HasSubstr("method.decoder_length: 3"), HasSubstr("reads and writes one text")));
}

}  // namespace
}  // namespace trimtab::testing
