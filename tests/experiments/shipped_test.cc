// SPDX-License-Identifier: Apache-2.0
//
// Every file of experiments/ resolves: no key, method or option in it is unknown. Weights and data are not
// looked at.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "experiments/comparison.h"
#include "experiments/experiment.h"
#include "experiments/pretrain_config.h"

namespace trimtab {
namespace {

std::vector<std::string> shipped_files() {
  std::vector<std::string> out;
  const std::string folder = TRIMTAB_SOURCE_DIR "/experiments";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".yaml")
      out.push_back(std::filesystem::relative(entry.path(), folder).string());
  std::ranges::sort(out);
  return out;
}

class Shipped : public ::testing::TestWithParam<std::string> {
 protected:
  std::string path() const { return TRIMTAB_SOURCE_DIR "/experiments/" + GetParam(); }
};

TEST_P(Shipped, Resolves) {
  const ConfigNode root = read_yaml_file(path());
  if (root.find("base") != nullptr) {
    const Comparison comparison = load_comparison(path());
    EXPECT_FALSE(comparison.runs.empty());
    check_distinct(comparison);
  } else if (root.find("task") != nullptr) {
    resolved(load_config<ExperimentConfig>(path()));
  } else {
    load_config<PretrainConfig>(path());
  }
}

INSTANTIATE_TEST_SUITE_P(Experiments, Shipped, ::testing::ValuesIn(shipped_files()), [](const auto& file) {
  std::string name = file.param.substr(0, file.param.rfind('.'));
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// The paper's figures: what a panel compares x sizes x tasks x seeds.
TEST(PaperFigures, HaveEveryRun) {
  const auto runs = [](const std::string& file) {
    return load_comparison(TRIMTAB_SOURCE_DIR "/experiments/paper/" + file).runs.size();
  };
  EXPECT_EQ(runs("figure-1.yaml"), 2u * 5 * 8 * 3);
  EXPECT_EQ(runs("figure-1-multi-task.yaml"), 5u * 3);
  EXPECT_EQ(runs("figure-3a-length.yaml"), 5u * 5 * 8 * 3);
  EXPECT_EQ(runs("figure-3b-init.yaml"), 3u * 5 * 8 * 3);
  EXPECT_EQ(runs("figure-3c-pretraining.yaml"), 3u * 5 * 8 * 3);
  EXPECT_EQ(runs("figure-3d-adaptation.yaml"), 4u * 5 * 8 * 3);
  EXPECT_EQ(runs("table-1-domain-shift.yaml"), 2u * 3);
  EXPECT_EQ(runs("table-2-paraphrases.yaml"), 2u * 2 * 3);
  EXPECT_EQ(runs("table-3-ensembles.yaml"), 8u * 5);
}

// Section 3.1, footnotes 3 and 4: 2^16 tokens, of all tasks together 2^20.
TEST(PaperFigures, TuneModelsOnTheirOwnBatches) {
  for (const std::string file : {"figure-1.yaml", "figure-1-multi-task.yaml", "table-1-domain-shift.yaml",
                                 "table-2-paraphrases.yaml"}) {
    int tuned = 0;
    for (const ComparedRun& run : load_comparison(TRIMTAB_SOURCE_DIR "/experiments/paper/" + file).runs) {
      if (run.config.method.name() != "model_tuning") continue;
      ++tuned;
      const std::int64_t tokens = run.config.task.name() == "mixture" ? 1 << 20 : 1 << 16;
      EXPECT_EQ(run.config.train.batch * run.config.text.max_input, tokens) << file << " " << run.name;
    }
    EXPECT_GT(tuned, 0) << file;
  }
}

}  // namespace
}  // namespace trimtab
