// SPDX-License-Identifier: Apache-2.0
//
// Prompts and test files that the authors of prompt tuning published.
#include <cmath>
#include <numeric>

#include "models/file_checks.h"
#include "models/formats/npy.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;

const std::string kFolder = TRIMTAB_SHARED_DIR "/data/t5_prompts_and_tiny_ckpt/";

double deviation(const std::vector<float>& values) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double squares = 0.0;
  for (const float value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

TEST(PublishedPrompts, Load) {
  const std::pair<const char*, double> prompts[] = {{"sst2", 51.8}, {"mrpc", 32.3}, {"rte", 34.5}};
  for (const auto& [task, expected] : prompts) {
    const NpyArray prompt = read_npy(kFolder + "pretrained_prompts/t5_1_1_lm100k_base/" + task + ".npy");
    EXPECT_THAT(prompt.shape, ElementsAre(100, 768));
    EXPECT_NEAR(deviation(prompt.values), expected, 0.05) << task;
  }
}

TEST(PublishedPrompts, ComeBackBitForBit) {
  const test::Folder folder;
  const std::string original = kFolder + "pretrained_prompts/t5_1_1_lm100k_base/rte.npy";
  const NpyArray prompt = read_npy(original);
  write_npy(folder / "rte", prompt.shape, prompt.values);
  EXPECT_EQ(test::read_bytes(folder / "rte"), test::read_bytes(original));
}

TEST(PublishedPrompts, DoublesLoad) {
  const NpyArray prompt = read_npy(kFolder + "test_data/prompt_5x256.npy");
  EXPECT_THAT(prompt.shape, ElementsAre(5, 256));
  EXPECT_NEAR(std::accumulate(prompt.values.begin(), prompt.values.end(), 0.0) / 1280.0, 0.501, 0.001);
}

}  // namespace
}  // namespace trimtab
