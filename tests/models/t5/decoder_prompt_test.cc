// SPDX-License-Identifier: Apache-2.0
//
// Rows in front of a T5's decoder input against what is the same by definition: those rows being embeddings
// of tokens that stand there.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "models/golden_case.h"

namespace trimtab::test {
namespace {

// `ids` in front of each decoder row.
MicroBatch with_ids_in_front(const MicroBatch& batch, const std::vector<std::int64_t>& ids) {
  MicroBatch out = batch;
  std::vector<std::int64_t> lengths, all;
  const auto* old = batch.decoder_ids.const_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < batch.rows(); ++row) {
    all.insert(all.end(), ids.begin(), ids.end());
    all.insert(all.end(), old + batch.decoder.begin(row), old + batch.decoder.begin(row + 1));
    lengths.push_back(batch.decoder.length(row) + static_cast<std::int64_t>(ids.size()));
  }
  out.decoder = RowLayout(lengths);
  out.decoder_ids = at::tensor(all, at::kLong);
  return out;
}

class DecoderPrompt : public testing::TestWithParam<std::string> {};

TEST_P(DecoderPrompt, IsWhatTokensInItsPlaceWouldBe) {
  const c10::NoGradGuard no_grad;
  const GoldenCase golden(GetParam());
  World world = solo_world();
  const auto stage = golden.stage(world);
  const std::vector<std::int64_t> ids = {7, 3, 11};
  const MicroBatch batch = golden.batch(), longer = with_ids_in_front(batch, ids);
  const at::Tensor of_tokens = stage->logits(stage->forward({}, longer, {}));
  std::vector<at::Tensor> wanted;
  for (std::int64_t row = 0; row < batch.rows(); ++row)
    wanted.push_back(
        of_tokens.slice(0, longer.decoder.begin(row) + std::ssize(ids), longer.decoder.begin(row + 1)));

  FixedPrompt prompt(stage->embeddings(ids));
  ASSERT_TRUE(stage->attach_decoder_input(&prompt));
  const at::Tensor of_prompt = stage->logits(stage->forward({}, batch, {}));
  EXPECT_LT(relative_error(of_prompt, at::cat(wanted)), 1e-6);

  stage->attach_decoder_input(nullptr);
  const at::Tensor without = stage->logits(stage->forward({}, batch, {}));
  EXPECT_GT(relative_error(of_prompt, without), 1e-3) << "the rows should matter";
}

INSTANTIATE_TEST_SUITE_P(T5, DecoderPrompt, testing::Values("t5_10", "t5_11", "t5_inner", "t5_depth"),
                         [](const auto& test) { return test.param; });

TEST(DecoderPromptSite, IsNoneOfADecoderOnlyModel) {
  World world = solo_world();
  const GoldenCase golden("qwen3");
  FixedPrompt prompt(golden.stored("prompt"));
  EXPECT_FALSE(golden.stage(world)->attach_decoder_input(&prompt));
}

}  // namespace
}  // namespace trimtab::test
