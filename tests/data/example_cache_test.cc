// SPDX-License-Identifier: Apache-2.0
#include "data/example_cache.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "data/temp_folder.h"
#include "data/text_file.h"
#include "data/tiny_vocabulary.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::HasSubstr;

std::vector<TextExample> numbered(std::size_t count) {
  std::vector<TextExample> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({.input = fmt::format("the ship turns {} times into the wind", i),
                   .target = i % 3 == 0 ? "yes" : "no"});
  return out;
}

void expect_same(const ExampleStore& a, const ExampleStore& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(a.inputs.row(i), b.inputs.row(i))) << i;
    EXPECT_TRUE(std::ranges::equal(a.targets.row(i), b.targets.row(i))) << i;
  }
}

class ExampleCache : public ::testing::Test {
 protected:
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      if (entry.path().extension() == ".h5") out.push_back(entry.path().string());
    return out;
  }
  TokenisedExamples open(const std::vector<TextExample>& examples, const RecipeOptions& options = {}) const {
    return tokenise(folder_.path(), "suite/task-train", TextRecipe(*t_, options), examples);
  }

  TinyTokenizer t_;
  TempFolder folder_;
};

TEST_F(ExampleCache, HoldsWhatTheRecipeMakes) {
  // More than one block of each thread, and a cut.
  const auto examples = numbered(10000);
  const RecipeOptions options{.max_input = 9, .max_target = 16};
  RecipeCounts counts;
  const ExampleStore expected = TextRecipe(*t_, options).encode(examples, counts);
  for (const char* when : {"made", "opened"}) {
    SCOPED_TRACE(when);
    const TokenisedExamples found = open(examples, options);
    expect_same(found.store, expected);
    EXPECT_EQ(found.counts, counts);
    EXPECT_GT(found.counts.cut_inputs, 0u);
  }
  ASSERT_EQ(files().size(), 1u);
  EXPECT_THAT(files()[0], HasSubstr("/suite-task-train-"));
}

TEST_F(ExampleCache, AnythingElseIsAnotherFile) {
  auto examples = numbered(5);
  open(examples);
  open(examples, {.max_input = 100});
  open(examples, {.text = "so: {input}"});
  open(examples, {.sentinel = t_->sentinel(0)});
  examples[4].target = "maybe";
  open(examples);
  // Where one text ends and the next begins counts.
  open({{.input = "ab", .target = "c"}});
  open({{.input = "a", .target = "bc"}});
  EXPECT_EQ(files().size(), 7u);
}

TEST_F(ExampleCache, DamagedIsMadeAgain) {
  const auto examples = numbered(3000);
  const TokenisedExamples before = open(examples);
  const std::string path = files().at(0);
  const std::string bytes = read_bytes(path);
  for (const char* damage : {"cut", "flipped", "empty", "text"}) {
    SCOPED_TRACE(damage);
    std::string damaged = bytes;
    if (damage == std::string("cut")) damaged.resize(bytes.size() / 2);
    if (damage == std::string("flipped")) damaged[bytes.size() / 2] ^= 0x10;
    if (damage == std::string("empty")) damaged.clear();
    if (damage == std::string("text")) damaged = "no store";
    // As somebody else would: under the name, in place of the old file, which stays mapped.
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary) << damaged;
    ::testing::internal::CaptureStderr();
    expect_same(open(examples).store, before.store);
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("tokenised again"));
    EXPECT_EQ(read_bytes(path), bytes);
  }
}

TEST_F(ExampleCache, ManyAtOnceAgree) {
  const auto examples = numbered(4000);
  std::vector<std::thread> threads;
  std::vector<std::size_t> sizes(4);
  for (std::size_t& size : sizes) threads.emplace_back([&] { size = open(examples).store.size(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(sizes, ::testing::Each(4000u));
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(ExampleCache, RefusesWhatCannotBe) {
  EXPECT_THROW(open({}), Error);
  EXPECT_THROW(tokenise("/proc/none", "x", TextRecipe(*t_, {}), numbered(1)), ConfigError);
}

TEST_F(ExampleCache, MappedIdsAreReadOnly) {
  TokenisedExamples found = open(numbered(1));
  EXPECT_THROW(found.store.inputs.append({}), Error);
}

}  // namespace
}  // namespace trimtab
