// SPDX-License-Identifier: Apache-2.0
//
// What the benchmark reads and counts: a wrong config or count would make every number that it prints wrong.
#include "bench/exported_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "models/formats/safetensors.h"
#include "models/t5/t5_files.h"
#include "runtime/check.h"

namespace trimtab::bench {
namespace {

using testing::HasSubstr;

std::string golden(const std::string& name) { return std::string(TRIMTAB_GOLDEN_DIR) + "/" + name; }

Batch batch_of(const std::vector<std::pair<std::size_t, std::size_t>>& lengths) {
  Batch batch;
  for (const auto& [input, target] : lengths)
    batch.append(std::vector<TokenId>(input, 3), std::vector<TokenId>(target, 4), batch.rows(), batch.rows());
  return batch;
}

std::string written(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + name;
  std::ofstream(path) << text;
  return path;
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

class ConfigOf : public testing::TestWithParam<std::string> {};

TEST_P(ConfigOf, IsWhatTheFolderSays) {
  T5Config expected = open_t5(golden(GetParam())).config;
  const T5Config config = config_of(Safetensors(golden(GetParam())));
  // Shapes do not say these two.
  expected.max_distance = config.max_distance;
  expected.dropout = config.dropout;
  EXPECT_EQ(config, expected);
}

INSTANTIATE_TEST_SUITE_P(Golden, ConfigOf, testing::Values("t5_10", "t5_11", "t5_inner", "t5_depth"),
                         [](const auto& test) { return test.param; });

TEST(ReadBatches, KeepsIdsAndRows) {
  const std::string path =
      written("two.json", R"([[{"input": [5, 6, 1], "target": [7, 1]}], [{"input": [1], "target": [1]},
                                                   {"input": [8, 1], "target": [9, 1]}]])");
  const std::vector<Batch> batches = read_batches(path);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].input_ids, (std::vector<TokenId>{5, 6, 1}));
  EXPECT_EQ(batches[1].target_ids, (std::vector<TokenId>{1, 9, 1}));
  EXPECT_EQ(batches[1].samples, (std::vector<std::uint64_t>{0, 1}));
}

TEST(ReadBatches, NamesTheFile) {
  EXPECT_THAT(message_of([] { read_batches("/nowhere.json"); }), HasSubstr("/nowhere.json: cannot be read"));
  const std::string other = written("other.json", R"([[{"input": [1]}]])");
  EXPECT_THAT(message_of([&] { read_batches(other); }), HasSubstr(other));
  const std::string empty = written("empty.json", "[]");
  EXPECT_THAT(message_of([&] { read_batches(empty); }), HasSubstr("no batch in it"));
}

TEST(Widest, IsTheFirstWithTheLongestInputThenTarget) {
  EXPECT_EQ(widest({batch_of({{3, 1}, {5, 1}}), batch_of({{5, 2}}), batch_of({{1, 1}, {5, 2}})}), 1u);
}

TEST(CutByRows, KeepsOrderAndSamples) {
  const std::vector<Batch> parts = cut_by_rows(batch_of({{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}}), 2);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1].input_length(0), 3);
  EXPECT_EQ(parts[2].samples, (std::vector<std::uint64_t>{4}));
  EXPECT_EQ(cut_by_rows(batch_of({{1, 1}, {2, 1}}), 0).size(), 1u);
}

// One row of 2 + 1 input positions and 1 target, d 2, inner 6, gated feed-forward of 5, 1 encoder and 2
// decoder layers, 7 words. Linear: encoder 2 x 3 x (48 + 30) = 468, keys and values 2 x 3 x 2 x 24 = 288,
// decoder 2 x 2 x (72 + 30) = 408, head 2 x 14 = 28. Attention: 4 x 6 x (9 + 2 x (1 + 3)) = 408.
TEST(UsefulGflop, CountsByHand) {
  T5Config config;
  config.vocab = 7;
  config.d_model = 2;
  config.d_kv = 3;
  config.heads = 2;
  config.d_ff = 5;
  config.encoder_layers = 1;
  config.decoder_layers = 2;
  EXPECT_DOUBLE_EQ(useful_gflop(config, batch_of({{2, 1}}), 1, false) * 1e9, 2 * 1192 + 3 * 408);
  EXPECT_DOUBLE_EQ(useful_gflop(config, batch_of({{2, 1}}), 1, true) * 1e9, 3 * 1192 + 3 * 408);
}

TEST(ReadPrompt, MustBeAsWideAsTheModel) {
  const std::string path = golden("t5_11/golden.safetensors");
  EXPECT_EQ(read_prompt(path, 32).sizes(), (std::vector<std::int64_t>{7, 32}));
  EXPECT_THAT(message_of([&] { read_prompt(path, 64); }),
              HasSubstr("shape [7, 32], but the model is 64 wide"));
}

}  // namespace
}  // namespace trimtab::bench
