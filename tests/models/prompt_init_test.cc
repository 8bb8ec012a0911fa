// SPDX-License-Identifier: Apache-2.0
//
// Where prompts start (Lester et al. 2021, section 3.2), row by row against the embedding table as its file
// has it.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "models/golden_case.h"
#include "models/methods/prompt_tuning.h"
#include "runtime/check.h"

namespace trimtab::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Lt;

// Pieces that the words of these tests are made of.
std::vector<std::int32_t> pieces_of(const std::string& word) {
  if (word == "one") return {3};
  if (word == "two pieces") return {4, 9};
  if (word == "three of them") return {17, 5, 11};
  return {};
}

class PromptInit : public ::testing::Test {
 protected:
  PromptInit() {
    const TensorSource& weights = golden_.model().weights();
    const std::string name = golden_.model().embedding_name();
    table_ = at::empty(weights.info(name).shape, at::kFloat);
    weights.read(name, {}, DType::kFloat32, table_.mutable_data_ptr());
    context_.encode = pieces_of;
    context_.pieces = 20;
    context_.seed = 11;
  }

  at::Tensor initial(const PromptTuningOptions& options) {
    return initial_prompt(options, *stage_, context_);
  }
  at::Tensor embedding(std::int64_t id) const { return table_[id]; }
  // The ids whose embeddings the rows are, from `begin` on; -1 for a row that is none.
  std::vector<std::int64_t> ids_of(const at::Tensor& prompt, std::int64_t begin = 0) const {
    std::vector<std::int64_t> ids;
    for (std::int64_t row = begin; row < prompt.size(0); ++row) {
      ids.push_back(-1);
      for (std::int64_t id = 0; id < table_.size(0); ++id)
        if (at::equal(prompt[row], embedding(id))) ids.back() = id;
    }
    return ids;
  }
  static std::size_t different(const std::vector<std::int64_t>& ids) {
    return std::set<std::int64_t>(ids.begin(), ids.end()).size();
  }

  GoldenCase golden_{"t5_11"};
  World world_ = solo_world();
  std::unique_ptr<ModelStage> stage_ = golden_.stage(world_);
  at::Tensor table_;
  MethodContext context_;
};

TEST_F(PromptInit, UniformFillsItsRangeAndNothingElse) {
  PromptTuningOptions options{.length = 200, .init = "uniform"};
  for (const std::vector<double>& range : {std::vector<double>{-0.5, 0.5}, {0.0, 0.5}}) {
    options.init_range = range;
    const at::Tensor prompt = initial(options);
    const double low = range[0], high = range[1], size = high - low;
    EXPECT_GE(prompt.min().item<double>(), low);
    EXPECT_LT(prompt.max().item<double>(), high);
    // Of some thousand draws the ends are near the ends of the range; mean and variance are those of the
    // density.
    EXPECT_LT(prompt.min().item<double>(), low + 0.01 * size);
    EXPECT_GT(prompt.max().item<double>(), high - 0.01 * size);
    EXPECT_NEAR(prompt.mean().item<double>(), (low + high) / 2, 0.03 * size);
    EXPECT_NEAR(prompt.var().item<double>(), size * size / 12, 0.01 * size * size);
  }
}

TEST_F(PromptInit, SampledPiecesAreFrequentOnesEachOnce) {
  PromptTuningOptions options{.length = 12, .init = "sampled_vocab"};
  options.init_population = 12;  // the whole population is taken
  std::vector<std::int64_t> all = ids_of(initial(options));
  std::ranges::sort(all);
  EXPECT_THAT(all, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  options.length = 5;
  EXPECT_EQ(different(ids_of(initial(options))), 5U);
  EXPECT_THAT(ids_of(initial(options)), Each(Lt(12)));
  // More rows than pieces: everything twice before anything a third time. Sentinels and padding are no
  // pieces.
  options.length = 40;
  options.init_population = 5000;
  const std::vector<std::int64_t> twice = ids_of(initial(options));
  EXPECT_EQ(different(twice), 20U);
  EXPECT_THAT(twice, Each(Lt(20)));
  EXPECT_EQ(different({twice.begin(), twice.begin() + 20}), 20U);
}

TEST_F(PromptInit, ASeedIsADraw) {
  const PromptTuningOptions options{.length = 6, .init = "sampled_vocab"};
  const at::Tensor one = initial(options);
  EXPECT_TRUE(at::equal(initial(options), one));
  context_.seed = 12;
  EXPECT_FALSE(at::equal(initial(options), one));
}

TEST_F(PromptInit, LabelsComeFirstAsTheMeansOfTheirPieces) {
  context_.labels = {"one", "two pieces", "three of them"};
  const at::Tensor prompt = initial({.length = 7, .init = "class_labels"});
  EXPECT_TRUE(at::equal(prompt[0], embedding(3)));
  EXPECT_TRUE(at::allclose(prompt[1], (embedding(4) + embedding(9)) / 2, 1e-6, 1e-7));
  EXPECT_TRUE(at::allclose(prompt[2], (embedding(17) + embedding(5) + embedding(11)) / 3, 1e-6, 1e-7));
  const std::vector<std::int64_t> rest = ids_of(prompt, 3);
  EXPECT_THAT(rest, Each(Lt(20)));
  EXPECT_THAT(rest, Each(::testing::Ge(0)));
  EXPECT_EQ(different(rest), 4U);
}

TEST_F(PromptInit, LabelsBeyondTheLengthAreDropped) {
  context_.labels = {"three of them", "one", "two pieces"};
  const at::Tensor prompt = initial({.length = 2, .init = "class_labels"});
  ASSERT_EQ(prompt.size(0), 2);
  EXPECT_TRUE(at::allclose(prompt[0], (embedding(17) + embedding(5) + embedding(11)) / 3, 1e-6, 1e-7));
  EXPECT_TRUE(at::equal(prompt[1], embedding(3)));
}

TEST_F(PromptInit, WordsStandInForLabels) {
  context_.labels = {"two pieces"};
  const at::Tensor prompt = initial({.length = 3, .init = "class_labels", .init_words = {"one"}});
  EXPECT_TRUE(at::equal(prompt[0], embedding(3)));
  context_.labels.clear();
  EXPECT_THAT([&] { initial({.length = 3, .init = "class_labels"}); },
              ::testing::ThrowsMessage<ConfigError>(HasSubstr("method.init_words")));
  EXPECT_THAT([&] { initial({.length = 3, .init = "class_labels", .init_words = {"none"}}); },
              ::testing::ThrowsMessage<ConfigError>(HasSubstr("the label 'none' has no pieces")));
}

TEST_F(PromptInit, ATextIsThereTokenByTokenAndBeginsAgain) {
  const at::Tensor prompt = initial({.length = 5, .init = "text", .init_text = "three of them"});
  EXPECT_THAT(ids_of(prompt), ElementsAre(17, 5, 11, 17, 5));
}

TEST_F(PromptInit, RowsInFrontOfTheDecoderAreOthers) {
  PromptTuningOptions options{.length = 8, .decoder_length = 8, .init = "sampled_vocab"};
  const at::Tensor decoder = initial_decoder_prompt(options, *stage_, context_);
  EXPECT_EQ(different(ids_of(decoder)), 8U);
  EXPECT_FALSE(at::equal(decoder, initial(options)));
}

}  // namespace
}  // namespace trimtab::test
