// SPDX-License-Identifier: Apache-2.0
//
// The SmolLM2-135M-Instruct file that launch/fetch-smollm2 fetches, read and run as an experiment does,
// against what transformers makes of it (tests/golden/smollm2.json). Skipped where TRIMTAB_SMOLLM2_GGUF does
// not name it.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/batch.h"
#include "experiments/to_micro_batch.h"
#include "experiments/vocabulary_file.h"
#include "models/family.h"
#include "runtime/sha256.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using Ids = std::vector<TokenId>;
using Json = nlohmann::json;

Json read_json(const std::string& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

class RealSmolLM2 : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* const path = std::getenv("TRIMTAB_SMOLLM2_GGUF");
    if (path == nullptr)
      GTEST_SKIP() << "TRIMTAB_SMOLLM2_GGUF is not set: launch/fetch-smollm2 fetches the file";
    expected_ = read_json(TRIMTAB_GOLDEN_DIR "/smollm2.json");
    ASSERT_GE(expected_.at("rows").size(), 6U);
    model_ = open_model(path);
  }

  std::unique_ptr<ModelStage> stage() {
    return model_->make_stage(world_, {{0, static_cast<int>(model_->cost_units({}).size())}});
  }
  Batch rows() const {
    Batch batch;
    for (const Json& row : expected_.at("rows"))
      batch.append(row.at("input").get<Ids>(), row.at("target").get<Ids>(), batch.rows(), batch.rows());
    return batch;
  }

  const c10::NoGradGuard no_grad_;
  World world_ = solo_world();
  Json expected_;
  std::unique_ptr<BaseModel> model_;
};

TEST_F(RealSmolLM2, IdsAreThoseOfTheReference) {
  const auto tokenizer = open_vocabulary("", *model_, std::filesystem::temp_directory_path().string());
  for (const Json& row : expected_.at("rows")) {
    Ids ids = row.at("input").get<Ids>();
    const Ids target = row.at("target").get<Ids>();
    ids.insert(ids.end(), target.begin(), target.end());
    EXPECT_EQ(tokenizer->encode(row.at("text").get<std::string>()), ids) << row.at("text");
  }
  static_assert(std::endian::native == std::endian::little);
  Sha256 hash;
  const auto update = [&](const Ids& ids) {
    hash.update({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(TokenId)});
  };
  for (const Json& line : read_json(TRIMTAB_TOKENIZERS_DIR "/lines.json")) {
    const Ids ids = tokenizer->encode(line.get<std::string>());
    update({static_cast<TokenId>(ids.size())});
    update(ids);
  }
  EXPECT_EQ(hash.hex(), expected_.at("lines_sha256").get<std::string>());
}

TEST_F(RealSmolLM2, LogitsAreThoseOfTheReference) {
  const auto stage = this->stage();
  const MicroBatch batch = to_micro_batch(rows(), stage->pad_id());
  const at::Tensor logits = stage->logits(stage->forward({}, batch, {}));
  const at::Tensor likeliest = logits.argmax(1);
  std::int64_t at = 0;
  for (const Json& row : expected_.at("rows"))
    for (const Json& position : row.at("positions")) {
      const Ids ids = position.at("ids").get<Ids>();
      EXPECT_EQ(likeliest[at].item<std::int64_t>(), ids.front()) << row.at("text") << " position " << at;
      for (std::size_t i = 0; i < ids.size(); ++i)
        EXPECT_NEAR(logits[at][ids[i]].item<float>(), position.at("logits").at(i).get<float>(), 1e-3F)
            << row.at("text") << " position " << at << " token " << ids[i];
      ++at;
    }
  EXPECT_EQ(at, logits.size(0));
}

TEST_F(RealSmolLM2, ContinuesAsTheReferenceDoes) {
  const auto stage = this->stage();
  const auto answers = stage->generate(to_micro_batch(rows(), stage->pad_id()), 64);
  ASSERT_EQ(answers.size(), expected_.at("rows").size());
  for (std::size_t i = 0; i < answers.size(); ++i)
    EXPECT_EQ(answers[i], expected_.at("rows").at(i).at("continuation").get<Ids>())
        << expected_.at("rows").at(i).at("text");
}

}  // namespace
}  // namespace trimtab
