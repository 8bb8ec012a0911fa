// SPDX-License-Identifier: Apache-2.0
#include "data/batcher.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "data/replica_share.h"
#include "data/temp_folder.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Example i has i % 7 + 1 input tokens and i % 3 + 1 target tokens, all of value i.
ExampleStore numbered(std::size_t count) {
  ExampleStore store;
  for (std::size_t i = 0; i < count; ++i) {
    store.inputs.append(std::vector<TokenId>(i % 7 + 1, static_cast<TokenId>(i)));
    store.targets.append(std::vector<TokenId>(i % 3 + 1, static_cast<TokenId>(i)));
  }
  return store;
}

TEST(Batcher, RowsAreWhatTheyClaim) {
  const ExampleStore store = numbered(20);
  Batcher batcher(store, 6, 1);
  const Batch batch = batcher.step(3);
  ASSERT_EQ(batch.rows(), 6u);
  EXPECT_THAT(batch.samples, ElementsAre(0, 1, 2, 3, 4, 5));
  for (std::size_t row = 0; row < 6; ++row) {
    const std::size_t i = batch.examples[row];
    EXPECT_EQ(batch.input_length(row), static_cast<std::int64_t>(i % 7 + 1));
    EXPECT_EQ(batch.target_length(row), static_cast<std::int64_t>(i % 3 + 1));
    EXPECT_EQ(batch.input(row).front(), static_cast<TokenId>(i));
    EXPECT_EQ(batch.target(row).back(), static_cast<TokenId>(i));
  }
  EXPECT_EQ(batch.input_offsets.back(), static_cast<std::int64_t>(batch.input_ids.size()));
}

TEST(Batcher, EachEpochHasEachExampleOnce) {
  const ExampleStore store = numbered(10);
  Batcher batcher(store, 4, 7);  // five batches are two epochs; the third spans both
  std::vector<std::size_t> order;
  for (std::uint64_t step = 0; step < 5; ++step)
    for (const std::size_t example : batcher.step(step).examples) order.push_back(example);
  const std::set<std::size_t> first(order.begin(), order.begin() + 10),
      second(order.begin() + 10, order.end());
  EXPECT_EQ(first.size(), 10u);
  EXPECT_EQ(second.size(), 10u);
  EXPECT_FALSE(std::equal(order.begin(), order.begin() + 10, order.begin() + 10));
}

TEST(Batcher, StepIsAPureFunctionOfSeedAndStep) {
  const ExampleStore store = numbered(11);
  Batcher forward(store, 4, 7), backward(store, 4, 7), other(store, 4, 8);
  std::map<std::uint64_t, std::vector<std::size_t>> seen;
  for (std::uint64_t step = 0; step < 40; ++step) seen[step] = forward.step(step).examples;
  bool differs = false;
  for (std::uint64_t step = 40; step-- > 0;) {
    EXPECT_EQ(backward.step(step).examples, seen[step]);
    differs = differs || other.step(step).examples != seen[step];
  }
  EXPECT_TRUE(differs);
}

TEST(Batcher, BatchMayBeLongerThanManyEpochs) {
  const ExampleStore store = numbered(3);
  Batcher batcher(store, 12, 1);
  std::map<std::size_t, int> uses;
  for (const std::size_t example : batcher.step(5).examples) ++uses[example];
  EXPECT_THAT(uses, ElementsAre(std::pair(0u, 4), std::pair(1u, 4), std::pair(2u, 4)));
}

TEST(Batcher, ReplicasShareTheGlobalBatch) {
  const ExampleStore store = numbered(30);
  Batcher whole(store, 8, 5);
  const Batch all = whole.step(2);
  std::size_t rows = 0;
  for (int rank = 0; rank < 3; ++rank) {
    const Batch mine = Batcher(store, 8, 5, {rank, 3}).step(2);
    for (std::size_t row = 0; row < mine.rows(); ++row) {
      EXPECT_EQ(mine.samples[row], static_cast<std::uint64_t>(rank) + 3 * row);
      EXPECT_EQ(mine.examples[row], all.examples[mine.samples[row]]);
      ++rows;
    }
  }
  EXPECT_EQ(rows, 8u);
}

TEST(Batcher, ImpossibleRequests) {
  const ExampleStore store = numbered(4), empty;
  EXPECT_THAT(message_of<Error>([&] { Batcher(empty, 4, 1); }), HasSubstr("data set is empty"));
  EXPECT_THAT(message_of<ConfigError>([&] { Batcher(store, 0, 1); }), HasSubstr("1 row or more"));
  EXPECT_THAT(message_of<ConfigError>([&] { Batcher(store, 4, 1, {2, 2}); }), HasSubstr("replica 2 of 2"));
  EXPECT_THAT(message_of<ConfigError>([&] {
                Batcher(store, 2, 1, {0, 3});
              }),
              HasSubstr("2 rows leaves some of the 3"));
}

TEST(InOrder, EachExampleOnceAndTheLastBatchShort) {
  const ExampleStore store = numbered(7);
  const std::vector<Batch> batches = in_order(store, 3);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_THAT(batches[0].examples, ElementsAre(0, 1, 2));
  EXPECT_THAT(batches[2].examples, ElementsAre(6));
  const std::vector<Batch> second = in_order(store, 3, {1, 2});
  ASSERT_EQ(second.size(), 1u);
  EXPECT_THAT(second[0].samples, ElementsAre(1, 3, 5));
  EXPECT_TRUE(in_order(numbered(1), 3, {1, 2}).empty());
}

TEST(MicroBatches, EveryRowOnceWithinTheBudget) {
  const ExampleStore store = numbered(40);
  const Batch batch = Batcher(store, 32, 3, {1, 2}).step(4);
  for (const std::int64_t budget : {12, 13, 30, 1000}) {
    std::map<std::uint64_t, std::size_t> seen;
    for (const Batch& part : micro_batches(batch, budget, 2)) {
      ASSERT_GT(part.rows(), 0u);
      std::int64_t used = 0;
      for (std::size_t row = 0; row < part.rows(); ++row) {
        used += positions(part, row, 2);
        EXPECT_TRUE(seen.emplace(part.samples[row], part.examples[row]).second);
        EXPECT_EQ(part.input(row).front(), static_cast<TokenId>(part.examples[row]));
      }
      EXPECT_LE(used, budget);
    }
    ASSERT_EQ(seen.size(), batch.rows());
    for (std::size_t row = 0; row < batch.rows(); ++row)
      EXPECT_EQ(seen.at(batch.samples[row]), batch.examples[row]);
  }
  EXPECT_EQ(micro_batches(batch, 1000).size(), 1u);
}

TEST(MicroBatches, LongestFirstAndRepeatable) {
  Batch batch;
  const auto add = [&](std::size_t tokens, std::uint64_t sample) {
    batch.append(std::vector<TokenId>(tokens, 9), std::vector<TokenId>(1, 9), sample, 100 + sample);
  };
  add(2, 0), add(5, 1), add(2, 2), add(4, 3);
  const std::vector<Batch> parts = micro_batches(batch, 11);  // rows take 6, 5, 3 and 3
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_THAT(parts[0].samples, ElementsAre(1, 3));
  EXPECT_THAT(parts[1].samples, ElementsAre(0, 2));
  EXPECT_THAT(parts[1].examples, ElementsAre(100, 102));
  EXPECT_TRUE(micro_batches(Batch{}, 11).empty());
}

TEST(MicroBatches, LanesShareThemAndTakeWhatTheirPromptsTake) {
  Batch batch;
  for (std::uint64_t sample = 0; sample < 6; ++sample)  // three texts of 1, 4 and 2 tokens, each in two lanes
    batch.append(std::vector<TokenId>(std::array<std::size_t, 3>{1, 4, 2}[sample / 2], 9), {}, sample, sample,
                 static_cast<std::int32_t>(sample % 2));
  const std::vector<Batch> parts = micro_batches(batch, 20, {3, 10});
  ASSERT_EQ(parts.size(), 4u);  // 7, then 14 and 5, then 12 and 4, then 11
  EXPECT_THAT(parts[0].samples, ElementsAre(2));
  EXPECT_THAT(parts[1].samples, ElementsAre(3, 4));
  EXPECT_THAT(parts[1].lanes, ElementsAre(1, 0));
  EXPECT_THAT(parts[2].samples, ElementsAre(5, 0));
  EXPECT_EQ(micro_batches(batch, 1000, {3, 10}).front().lanes, (std::vector<std::int32_t>{0, 1, 0, 1, 0, 1}));
  EXPECT_THAT(message_of<ConfigError>([&] {
                micro_batches(batch, 13, {3, 10});
              }),
              HasSubstr("example 3 takes 14 positions (10 of them for the prompt)"));
  const Batch half = replica_share(batch, 2, 1);
  for (std::size_t row = 0; row < half.rows(); ++row)
    EXPECT_EQ(half.lanes[row], static_cast<std::int32_t>(half.samples[row] % 2));
}

TEST(MicroBatches, RowOverTheBudgetIsSaidEarly) {
  const ExampleStore store = numbered(7);  // example 5 takes 6 + 3, the most
  check_token_budget(store, 19, 10);
  EXPECT_THAT(
      message_of<ConfigError>([&] { check_token_budget(store, 17, 10); }),
      AllOf(HasSubstr("example 5 takes 19 positions (10 of them for the prompt)"), HasSubstr("17 tokens")));
  const Batch all = in_order(store, 7).front();
  EXPECT_THAT(message_of<ConfigError>([&] { micro_batches(all, 8); }),
              HasSubstr("raise train.micro_batch_tokens"));
}

}  // namespace
}  // namespace trimtab
