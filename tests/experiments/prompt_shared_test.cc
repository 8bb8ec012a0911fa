// SPDX-License-Identifier: Apache-2.0
//
// `inspect` on prompts that the authors of prompt tuning published: 100 rows of T5 1.1 base.
#include <gmock/gmock.h>

#include "experiments/prompt_inspection.h"

namespace trimtab {
namespace {

const std::string kFolder =
    TRIMTAB_SHARED_DIR "/data/t5_prompts_and_tiny_ckpt/pretrained_prompts/t5_1_1_lm100k_base/";

TEST(PublishedPrompts, AreShown) {
  InspectRequest request;
  request.files = {kFolder + "sst2.npy", kFolder + "mrpc.npy", kFolder + "rte.npy"};
  const Inspections all = inspect_prompts(request);
  const double mean_norms[] = {1385, 868, 903}, deviations[] = {51.8, 32.3, 34.5};
  for (std::size_t i = 0; i < 3; ++i) {
    const PromptNorms& norms = all.prompts[i].norms;
    ASSERT_EQ(norms.rows.size(), 100U);
    EXPECT_NEAR(norms.mean, mean_norms[i], 0.5) << request.files[i];
    EXPECT_NEAR(norms.deviation, deviations[i], 0.05) << request.files[i];
    EXPECT_NEAR(all.likeness[i][i].averaged, 1, 1e-9);
    EXPECT_NEAR(all.likeness[i][i].best_match, 1, 1e-9);
  }
  // Their means are alike, which shows that they are of one model; row by row they are not.
  EXPECT_GT(all.likeness[1][2].averaged, 0.4);
  EXPECT_LT(all.likeness[1][2].best_match, 0.3);
  EXPECT_THAT(inspection_text(all, 20), ::testing::HasSubstr("greatest 2177"));
}

}  // namespace
}  // namespace trimtab
