// SPDX-License-Identifier: Apache-2.0
//
// Where prompts go in the rows of a decoder-only model: a prompt of embedded tokens is those tokens.
#include "models/llama/llama_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "models/golden_case.h"

namespace trimtab::test {
namespace {

using ::testing::ElementsAre;

const std::vector<std::int64_t> kPrompt = {5, 17, 42};

// The golden rows with the prompt's tokens written at the places, but never behind a row's last token.
MicroBatch with_tokens(const MicroBatch& batch, const std::vector<PromptPlace>& places) {
  MicroBatch out = batch;
  std::vector<std::int64_t> ids, lengths;
  const std::vector<std::int64_t> counts = rows_of_places(places, static_cast<std::int64_t>(kPrompt.size()));
  for (std::int64_t row = 0; row < batch.rows(); ++row) {
    const std::int64_t length = batch.encoder.length(row);
    const auto* from = batch.encoder_ids.const_data_ptr<std::int64_t>() + batch.encoder.begin(row);
    std::vector<std::int64_t> text(from, from + length);
    // From the last place on, so that the places before it stay where they are.
    std::int64_t end = static_cast<std::int64_t>(kPrompt.size());
    for (std::size_t i = places.size(); i-- > 0;) {
      const std::int64_t before = places[i].from_end ? length - places[i].tokens : places[i].tokens;
      text.insert(text.begin() + std::clamp<std::int64_t>(before, 0, length - 1),
                  kPrompt.begin() + end - counts[i], kPrompt.begin() + end);
      end -= counts[i];
    }
    ids.insert(ids.end(), text.begin(), text.end());
    lengths.push_back(static_cast<std::int64_t>(text.size()));
  }
  out.encoder = RowLayout(lengths);
  out.encoder_ids = at::tensor(ids, at::kLong);
  return out;
}

TEST(RowsOfPlaces, AreSharedOut) {
  EXPECT_THAT(rows_of_places({{}}, 7), ElementsAre(7));
  EXPECT_THAT(rows_of_places({{}, {}, {}}, 7), ElementsAre(3, 2, 2));
  EXPECT_THAT(rows_of_places({{2}, {}, {}}, 7), ElementsAre(2, 3, 2));
  EXPECT_THAT(rows_of_places({{2}, {5}}, 7), ElementsAre(2, 5));
  EXPECT_THROW(rows_of_places({{2}, {4}}, 7), ConfigError);
  EXPECT_THROW(rows_of_places({{2}, {6}}, 7), ConfigError);
}

// Behind the first tokens, in front of the last ones, and in pieces.
const std::vector<std::vector<PromptPlace>> kPlaces = {{{}},
                                                       {{-1, false, 1}},
                                                       {{-1, false, 3}},
                                                       {{-1, true, 1}},
                                                       {{-1, true, 2}},
                                                       {{2}, {1, true, 1}},
                                                       {{}, {}, {-1, true, 1}}};

class PromptPlaces : public testing::TestWithParam<std::tuple<std::string, std::vector<PromptPlace>>> {};
INSTANTIATE_TEST_SUITE_P(Everywhere, PromptPlaces,
                         testing::Combine(testing::Values("llama_scaled", "t5_11"),
                                          testing::ValuesIn(kPlaces)),
                         [](const auto& test) {
                           return fmt::format("{}_{}", std::get<0>(test.param), test.index % kPlaces.size());
                         });

TEST_P(PromptPlaces, APromptOfTokensIsThoseTokens) {
  const auto& [name, places] = GetParam();
  const GoldenCase golden(name);
  World world = solo_world();
  const auto stage = golden.stage(world);
  const MicroBatch batch = golden.batch(), written = with_tokens(batch, places);
  const double expected = stage->loss(stage->forward({}, written, {}), written, 1e-4).loss.item<double>();
  const TokenRows answers = stage->generate(written, 6);
  FixedPrompt prompt(stage->embeddings(kPrompt), places);
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
  const JointRows rows = joint_rows(batch, nullptr);
  EXPECT_TRUE(at::equal(rows.ids, at::tensor({10, 11, 12, 13, 20}, at::kLong)));
  EXPECT_THAT(rows.layout.offsets(), ElementsAre(0, 4, 5));
  EXPECT_TRUE(at::equal(scored_positions(rows, batch.decoder), at::tensor({1, 2, 3, 4}, at::kLong)));
  const JointRows prefix = prefix_rows(batch, nullptr);
  EXPECT_THAT(prefix.layout.offsets(), ElementsAre(0, 1, 1)) << "the last input token begins decoding";
  EXPECT_TRUE(at::equal(last_input_ids(batch), at::tensor({11, 20}, at::kLong)));
  batch.encoder = RowLayout({3, 0});
  EXPECT_THROW(joint_rows(batch, nullptr), Error) << "nothing to predict the target from";
}

}  // namespace
}  // namespace trimtab::test
