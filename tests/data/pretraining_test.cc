// SPDX-License-Identifier: Apache-2.0
#include "data/pretraining.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "data/tiny_vocabulary.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Ids = std::vector<TokenId>;
constexpr auto kTrain = PretrainingSplit::kTrain;
constexpr auto kValidation = PretrainingSplit::kValidation;

std::vector<std::string> cached(const TempFolder& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().extension() == ".ids") files.push_back(entry.path().string());
  return files;
}

PretrainingOptions options_for(const std::string& path, const std::string& objective = "span_corruption") {
  PretrainingOptions options;
  options.objective = objective;
  options.corpora = {{.path = path}};
  options.input_length = 64;
  options.batch = 8;
  return options;
}

TEST(OpenCorpus, LaysTheLinesEndToEnd) {
  const TinyTokenizer t;
  const TempFolder folder;
  const std::string path = folder.write(
      "books.txt", "\f=== First_Book_1900.txt ===\nthe ship\n\nturns into\n\f=== B ===\nthe wind\n");
  const TokenArray array = open_corpus({.path = path}, *t);
  EXPECT_EQ(Ids(array.ids().begin(), array.ids().end()), t->encode("the ship turns into the wind"));
}

TEST(OpenCorpus, IsCachedByContentAndVocabulary) {
  const TinyTokenizer t;
  const TempFolder folder;
  const std::string path = folder.write("text.txt", "the ship\n");
  open_corpus({.path = path}, *t);
  ASSERT_EQ(cached(folder).size(), 1u);
  const auto written = std::filesystem::last_write_time(cached(folder)[0]);
  open_corpus({.path = path}, *t);
  EXPECT_EQ(std::filesystem::last_write_time(cached(folder)[0]), written);
  folder.write("text.txt", "the ship turns\n");
  const TokenArray changed = open_corpus({.path = path}, *t);
  EXPECT_EQ(Ids(changed.ids().begin(), changed.ids().end()), t->encode("the ship turns"));
  EXPECT_EQ(cached(folder).size(), 2u);
  const TempFolder elsewhere;
  open_corpus({.path = path, .cache = elsewhere.path()}, *t);
  EXPECT_EQ(cached(elsewhere).size(), 1u);
}

TEST(OpenCorpus, DamagedCacheIsAnError) {
  const TinyTokenizer t;
  const TempFolder folder;
  const std::string path = folder.write("text.txt", "the ship turns\n");
  open_corpus({.path = path}, *t);
  const std::string cache = cached(folder).at(0);
  std::filesystem::resize_file(cache, std::filesystem::file_size(cache) - 4);
  EXPECT_THAT(message_of<Error>([&] { open_corpus({.path = path}, *t); }),
              AllOf(HasSubstr(cache), HasSubstr("cut file"), HasSubstr("delete it")));
  std::filesystem::resize_file(cache, 10);
  EXPECT_THAT(message_of<Error>([&] { open_corpus({.path = path}, *t); }), HasSubstr("cut file of 10 bytes"));
  EXPECT_THAT(message_of<Error>([&] {
                TokenArray::write(cache, std::string(64, '0'), Ids{1, 2});
                open_corpus({.path = path}, *t);
              }),
              HasSubstr("holds other text or another vocabulary"));
}

TEST(OpenCorpus, BadText) {
  const TinyTokenizer t;
  const TempFolder folder;
  const std::string bad = folder.write("bad.txt", "the ship\nna\xEFve\n");
  EXPECT_THAT(message_of<Error>([&] { open_corpus({.path = bad}, *t); }), HasSubstr("bad.txt:2: byte 0xef"));
  EXPECT_NO_THROW(open_corpus({.path = bad, .replace_invalid = true}, *t));
  EXPECT_THAT(message_of<Error>([&] { open_corpus({.path = folder.write("blank.txt", "\n\n")}, *t); }),
              HasSubstr("blank.txt: the corpus has no text"));
  EXPECT_THAT(message_of<Error>([&] {
                open_corpus({.path = folder.write("good.txt", "the\n"), .cache = folder.file("none")}, *t);
              }),
              AllOf(HasSubstr("good.txt"), HasSubstr("set `cache` to a folder that can be written")));
}

TEST(Pretraining, ExampleIsPureAndSpansAreOfTheChunk) {
  const TinyTokenizer t;
  const TempFolder folder;
  const PretrainingOptions options = options_for(folder.write("text.txt", tiny_text()));
  const PretrainingData data(*t, options), again(*t, options);
  EXPECT_EQ(data.chunk(), random_spans_helper(64, 0.15, 3).tokens);
  const Denoising late = again.example(kTrain, 9, 3), early = again.example(kTrain, 2, 0);
  EXPECT_EQ(data.example(kTrain, 2, 0).inputs, early.inputs);
  EXPECT_EQ(data.example(kTrain, 9, 3).targets, late.targets);
  EXPECT_NE(early.inputs, late.inputs);
  std::set<Ids> distinct;
  for (std::uint64_t row = 0; row < 8; ++row) {
    const Denoising parts = data.example(kTrain, 0, row);
    EXPECT_LE(parts.inputs.size(), 64u);
    EXPECT_EQ(parts.targets.size(), static_cast<std::size_t>(random_spans_helper(64, 0.15, 3).targets));
    distinct.insert(parts.inputs);
  }
  EXPECT_EQ(distinct.size(), 8u);
}

TEST(Pretraining, ReplicasShareTheBatch) {
  const TinyTokenizer t;
  const TempFolder folder;
  const PretrainingData data(*t, options_for(folder.write("text.txt", tiny_text())));
  const Batch all = data.batch(kTrain, 4), mine = data.batch(kTrain, 4, {1, 2});
  ASSERT_EQ(all.rows(), 8u);
  ASSERT_EQ(mine.rows(), 4u);
  for (std::size_t row = 0; row < 4; ++row) {
    EXPECT_EQ(mine.samples[row], 2 * row + 1);
    EXPECT_TRUE(std::ranges::equal(mine.input(row), all.input(2 * row + 1)));
    EXPECT_TRUE(std::ranges::equal(mine.target(row), all.target(2 * row + 1)));
  }
}

TEST(Pretraining, PrefixLmCutsAChunkOfTheText) {
  const TinyTokenizer t;
  const TempFolder folder;
  PretrainingOptions options = options_for(folder.write("text.txt", tiny_text()), "prefix_lm");
  const PretrainingData data(*t, options);
  const TokenArray array = open_corpus(options.corpora[0], *t);
  std::set<std::size_t> splits;
  for (std::uint64_t step = 0; step < 200; ++step) {
    const Denoising parts = data.example(kTrain, step, 0);
    Ids chunk(parts.inputs.begin(), parts.inputs.end() - 1);
    chunk.insert(chunk.end(), parts.targets.begin(), parts.targets.end() - 1);
    ASSERT_EQ(chunk.size(), 64u);
    EXPECT_FALSE(std::ranges::search(array.ids(), chunk).empty());
    splits.insert(parts.inputs.size() - 1);
  }
  EXPECT_GT(splits.size(), 40u);
  EXPECT_GE(*splits.begin(), 1u);
  EXPECT_LE(*splits.rbegin(), 63u);
  options.max_target = 5;
  const Denoising cut = PretrainingData(*t, options).example(kTrain, 0, 0);
  EXPECT_LE(cut.targets.size(), 5u);
  EXPECT_EQ(cut.targets.back(), t->eos());
}

TEST(Pretraining, ValidationNeverShowsTrainingText) {
  const TinyTokenizer t;
  const TempFolder folder;
  PretrainingOptions options =
      options_for(folder.write("text.txt", std::string(tiny_text()) + tiny_text()), "prefix_lm");
  options.corpora[0].path = folder.write("two.txt", [] {
    std::string text;
    for (int i = 0; i < 900; ++i) text += "the ship ";
    for (int i = 0; i < 100; ++i) text += "wind wind ";
    return text + "\n";
  }());
  options.input_length = 16;
  options.validation_percent = 5;
  const PretrainingData data(*t, options);
  const TokenId wind = t->encode("wind").front(), ship = t->encode("ship").front();
  ASSERT_EQ(t->decode(Ids{wind}), "wind");
  for (std::uint64_t step = 0; step < 50; ++step) {
    const Denoising parts = data.example(kValidation, step, 0);
    EXPECT_EQ(std::count(parts.inputs.begin(), parts.inputs.end(), ship), 0);
    EXPECT_EQ(std::count(parts.targets.begin(), parts.targets.end(), ship), 0);
  }
}

TEST(Pretraining, MixtureFollowsTheWeights) {
  const TinyTokenizer t;
  const TempFolder folder;
  const auto repeated = [](const std::string& word) {
    std::string text;
    for (int i = 0; i < 300; ++i) text += word + " ";
    return text + "\n";
  };
  PretrainingOptions options = options_for("", "prefix_lm");
  options.corpora = {{.path = folder.write("a.txt", repeated("ship")), .weight = 3},
                     {.path = folder.write("b.txt", repeated("wind")), .weight = 1}};
  options.input_length = 8;
  const PretrainingData data(*t, options);
  const TokenId wind = t->encode("wind").front();
  int rows_of_b = 0;
  for (std::uint64_t row = 0; row < 2000; ++row)
    rows_of_b += std::ranges::count(data.example(kTrain, row, 0).inputs, wind) > 0;
  EXPECT_NEAR(rows_of_b, 500, 80);  // four standard deviations
}

TEST(Pretraining, BadOptions) {
  const TinyTokenizer t;
  const TempFolder folder;
  const std::string path = folder.write("text.txt", "the ship turns into the wind\n");
  const auto error = [&](const std::function<void(PretrainingOptions&)>& change) {
    PretrainingOptions options = options_for(path);
    change(options);
    return message_of<Error>([&] { PretrainingData(*t, options); });
  };
  EXPECT_THAT(error([](auto& o) { o.objective = "masked"; }), HasSubstr("span_corruption or prefix_lm"));
  EXPECT_THAT(error([](auto& o) { o.corpora.clear(); }), HasSubstr("no corpus is given"));
  EXPECT_THAT(error([](auto& o) { o.corpora[0].weight = 0; }), HasSubstr("weight should be above 0"));
  EXPECT_THAT(error([](auto& o) { o.noise_density = 1; }), HasSubstr("noise_density"));
  EXPECT_THAT(error([](auto& o) { o.validation_percent = 60; }), HasSubstr("between 0 and 50"));
  EXPECT_THAT(error([](auto&) {}),
              AllOf(HasSubstr("text.txt: the training part has"), HasSubstr("less than one chunk")));
}

}  // namespace
}  // namespace trimtab
