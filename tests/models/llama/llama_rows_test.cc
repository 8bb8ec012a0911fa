// SPDX-License-Identifier: Apache-2.0
//
// Where prompts go in the rows of a decoder-only model: a prompt of embedded tokens is those tokens.
#include "models/llama/llama_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/golden_case.h"

namespace trimtab::test {
namespace {

using ::testing::ElementsAre;

const std::vector<std::int64_t> kPrompt = {5, 17, 42};

// The golden rows with the prompt's tokens put into each input behind the first `lead` ones. A row of one
// token keeps it last.
MicroBatch with_tokens(const MicroBatch& batch, std::int64_t lead) {
  MicroBatch out = batch;
  std::vector<std::int64_t> ids, lengths;
  const auto* from = batch.encoder_ids.const_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < batch.rows(); ++row) {
    const std::int64_t length = batch.encoder.length(row), front = std::min(lead, length - 1);
    const auto* begin = from + batch.encoder.begin(row);
    ids.insert(ids.end(), begin, begin + front);
    ids.insert(ids.end(), kPrompt.begin(), kPrompt.end());
    ids.insert(ids.end(), begin + front, begin + length);
    lengths.push_back(length + static_cast<std::int64_t>(kPrompt.size()));
  }
  out.encoder = RowLayout(lengths);
  out.encoder_ids = at::tensor(ids, at::kLong);
  return out;
}

class PromptPlaces : public testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Lead, PromptPlaces, testing::Values(0, 1, 3));

TEST_P(PromptPlaces, APromptOfTokensIsThoseTokens) {
  const GoldenCase golden("llama_scaled");
  World world = solo_world();
  StageOptions options{{0, golden.layers()}};
  options.prompt_lead = GetParam();
  const auto stage = golden.model().make_stage(world, options);
  const MicroBatch batch = golden.batch(), written = with_tokens(batch, GetParam());
  const double expected = stage->loss(stage->forward({}, written, {}), written, 1e-4).loss.item<double>();
  const TokenRows answers = stage->generate(written, 6);
  FixedPrompt prompt(stage->embeddings(kPrompt));
  stage->attach_input(&prompt);
  const double found = stage->loss(stage->forward({}, batch, {}), batch, 1e-4).loss.item<double>();
  EXPECT_NEAR(found, expected, 1e-5 * expected);
  EXPECT_EQ(stage->generate(batch, 6), answers);
}

TEST(LlamaRows, WhatIsScoredComesBeforeATarget) {
  MicroBatch batch;
  batch.encoder = RowLayout({2, 1});
  batch.decoder = RowLayout({3, 1});
  batch.encoder_ids = at::tensor({10, 11, 20}, at::kLong);
  batch.targets = at::tensor({12, 13, 1, 1}, at::kLong);
  batch.lanes = {0, 0};
  const JointRows rows = joint_rows(batch, {});
  EXPECT_TRUE(at::equal(rows.ids, at::tensor({10, 11, 12, 13, 20}, at::kLong)));
  EXPECT_THAT(rows.layout.offsets(), ElementsAre(0, 4, 5));
  EXPECT_TRUE(at::equal(scored_positions(rows, batch.decoder), at::tensor({1, 2, 3, 4}, at::kLong)));
  const JointRows prefix = prefix_rows(batch, {});
  EXPECT_THAT(prefix.layout.offsets(), ElementsAre(0, 1, 1)) << "the last input token begins decoding";
  EXPECT_TRUE(at::equal(last_input_ids(batch), at::tensor({11, 20}, at::kLong)));
  batch.encoder = RowLayout({3, 0});
  EXPECT_THROW(joint_rows(batch, {}), Error) << "nothing to predict the target from";
}

}  // namespace
}  // namespace trimtab::test
