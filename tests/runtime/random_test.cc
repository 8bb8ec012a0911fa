// SPDX-License-Identifier: Apache-2.0
#include "runtime/random.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// Known answers of Random123 (kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, BlocksArePhilox) {
  const RandomStream stream(1, Purpose::kDropout, 2, 3);
  const std::uint64_t index = 0x123456789abcdef0u;
  const PhiloxCounter counter{0x9abcdef0, 0x12345678, stream.counter_high()[0], stream.counter_high()[1]};
  EXPECT_EQ(stream.block(index), philox4x32(counter, stream.key()));
  for (std::uint64_t word = 0; word < 4; ++word)
    EXPECT_EQ(stream.bits(4 * 77 + word), stream.block(77)[word]);
}

// Seeds are kept in experiment files and in checkpoints: what they mean must never change. The numbers come
// from a second implementation (Python).
TEST(RandomStream, MeaningOfASeedIsFixed) {
  const RandomStream stream(1, Purpose::kDropout, 2, 3);
  EXPECT_EQ(stream.bits(0), 0xb21946aeu);
  EXPECT_EQ(stream.bits(1), 0x721ab7b7u);
  EXPECT_EQ(RandomStream(0, Purpose::kInit).bits(0), 0x771937u);
  EXPECT_THAT(permutation(8, RandomStream(7, Purpose::kShuffle)),
              testing::ElementsAre(5, 0, 4, 6, 7, 3, 1, 2));
}

TEST(RandomStream, EveryArgumentMattersInAllItsBits) {
  const auto key_and_counter = [](std::uint64_t seed, Purpose purpose, std::uint64_t step,
                                  std::uint64_t sample) {
    const RandomStream stream(seed, purpose, step, sample);
    return std::pair(stream.key(), stream.counter_high());
  };
  std::set<PhiloxKey> keys{RandomStream(0, Purpose::kInit).key()};
  std::set<std::array<std::uint32_t, 2>> counters{RandomStream(0, Purpose::kInit).counter_high()};
  std::size_t made = 1;
  const auto add = [&](const std::pair<PhiloxKey, std::array<std::uint32_t, 2>>& one) {
    keys.insert(one.first);
    counters.insert(one.second);
    ++made;
  };
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t value = std::uint64_t{1} << bit;
    add(key_and_counter(value, Purpose::kInit, 0, 0));
    add(key_and_counter(0, Purpose::kInit, value, 0));
    add(key_and_counter(0, Purpose::kInit, 0, value));
  }
  for (const Purpose purpose :
       {Purpose::kSample, Purpose::kShuffle, Purpose::kDropout, Purpose::kCorruption,
        Purpose::kAttentionDropout, Purpose::kMixture, Purpose::kBootstrap, Purpose::kTest})
    add(key_and_counter(0, purpose, 0, 0));
  EXPECT_EQ(keys.size(), made);
  EXPECT_EQ(counters.size(), made);
  // Step and sample do not stand in for each other.
  EXPECT_NE(RandomStream(0, Purpose::kInit, 1, 2).key(), RandomStream(0, Purpose::kInit, 2, 1).key());
}

TEST(RandomStream, PositionsDifferInAllTheirBits) {
  const RandomStream stream(5, Purpose::kTest);
  std::set<PhiloxCounter> blocks{stream.block(0)};
  for (int bit = 0; bit < 64; ++bit) blocks.insert(stream.block(std::uint64_t{1} << bit));
  EXPECT_EQ(blocks.size(), 65u);
}

TEST(RandomStream, UniformLiesInTheHalfOpenUnitInterval) {
  const RandomStream stream(3, Purpose::kTest);
  double sum = 0, sum_double = 0;
  const int count = 20000;
  for (int i = 0; i < count; ++i) {
    const float single = stream.uniform(i);
    const double full = stream.uniform_double(i);
    ASSERT_TRUE(single >= 0 && single < 1 && full >= 0 && full < 1);
    sum += single;
    sum_double += full;
  }
  // Five standard errors of a mean of uniforms, sqrt(1 / 12 / count).
  const double slack = 5 * std::sqrt(1.0 / 12 / count);
  EXPECT_NEAR(sum / count, 0.5, slack);
  EXPECT_NEAR(sum_double / count, 0.5, slack);
  EXPECT_EQ(stream.uniform(9), static_cast<float>(stream.bits(9) >> 8) / 16777216.0f);
}

TEST(RandomStream, BoundedIsUnbiased) {
  const RandomStream stream(4, Purpose::kTest);
  std::map<std::uint64_t, int> seen;
  const int count = 60000;
  for (int i = 0; i < count; ++i) ++seen[stream.bounded(i, 6)];
  ASSERT_EQ(seen.size(), 6u);
  double chi_square = 0;
  for (const auto& [value, times] : seen) {
    EXPECT_LT(value, 6u);
    chi_square += std::pow(times - count / 6.0, 2) / (count / 6.0);
  }
  EXPECT_LT(chi_square, 20.5) << "5 degrees of freedom, probability 0.001";
}

// With this bound a quarter of the draws is rejected; without rejection every third number would come twice
// as often.
TEST(RandomStream, BoundedRejectsWhatWouldBias) {
  const RandomStream stream(4, Purpose::kTest);
  const std::uint64_t bound = (std::uint64_t{3} << 62);
  int thirds[3] = {0, 0, 0};
  const int count = 30000;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t draw = stream.bounded(i, bound);
    ASSERT_LT(draw, bound);
    ++thirds[draw % 3];
  }
  for (const int times : thirds) EXPECT_NEAR(times, count / 3.0, 5 * std::sqrt(count * 2.0 / 9));
  EXPECT_LT(stream.bounded(0, kHuge), kHuge);
  EXPECT_EQ(stream.bounded(0, 1), 0u);
  EXPECT_THROW(stream.bounded(0, 0), Error);
}

TEST(RandomStream, NormalHasItsMoments) {
  const RandomStream stream(6, Purpose::kInit);
  const int count = 40000;
  double sum = 0, squares = 0, fourth = 0, neighbours = 0;
  for (int i = 0; i < count; ++i) {
    const double x = stream.normal(i);
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    if (i % 2 == 1) neighbours += x * stream.normal(i - 1);
  }
  EXPECT_NEAR(sum / count, 0, 5 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1, 5 * std::sqrt(2.0 / count));
  EXPECT_NEAR(fourth / count, 3, 5 * std::sqrt(96.0 / count));
  EXPECT_NEAR(neighbours / (count / 2.0), 0, 5 / std::sqrt(count / 2.0))
      << "the two of a pair are independent";
}

TEST(RandomStream, BulkEqualsSingle) {
  const RandomStream stream(8, Purpose::kDropout, 9, 10);
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}, std::uint64_t{4},
                                    (std::uint64_t{1} << 34) - 30, std::uint64_t{1} << 62}) {
    for (const std::size_t count : {0, 1, 2, 3, 5, 63, 64, 65, 128, 200}) {
      std::vector<std::uint32_t> out(count + 1, 42);
      fill_uniform_bits(stream, first, count, out.data());
      for (std::size_t i = 0; i < count; ++i)
        ASSERT_EQ(out[i], stream.bits(first + i)) << first << " + " << i;
      EXPECT_EQ(out[count], 42u) << "wrote past the end";

      std::vector<float> normals(count + 1, 42);
      fill_normal(stream, first, count, normals.data());
      for (std::size_t i = 0; i < count; ++i)
        ASSERT_EQ(normals[i], static_cast<float>(stream.normal(first + i))) << first << " + " << i;
      EXPECT_EQ(normals[count], 42) << "wrote past the end";
    }
  }
}

TEST(Permutation, HoldsEachNumberOnce) {
  for (const std::uint32_t n : {0u, 1u, 2u, 17u, 1000u}) {
    std::vector<std::uint32_t> order = permutation(n, RandomStream(1, Purpose::kShuffle));
    EXPECT_EQ(order, permutation(n, RandomStream(1, Purpose::kShuffle)));
    if (n > 2) {
      EXPECT_NE(order, permutation(n, RandomStream(2, Purpose::kShuffle)));
    }
    std::sort(order.begin(), order.end());
    std::vector<std::uint32_t> all(n);
    std::iota(all.begin(), all.end(), 0u);
    EXPECT_EQ(order, all);
  }
}

TEST(Permutation, EveryOrderIsEquallyLikely) {
  std::map<std::vector<std::uint32_t>, int> seen;
  const int count = 24000;
  for (int i = 0; i < count; ++i) ++seen[permutation(4, RandomStream(1, Purpose::kShuffle, i))];
  ASSERT_EQ(seen.size(), 24u);
  for (const auto& [order, times] : seen) EXPECT_NEAR(times, count / 24.0, 5 * std::sqrt(count / 24.0));
}

}  // namespace
}  // namespace trimtab
