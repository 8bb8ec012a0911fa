// SPDX-License-Identifier: Apache-2.0
#include "data/span_corruption.h"

#include <gmock/gmock.h>

#include <map>
#include <numeric>

#include "data/tiny_vocabulary.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Ids = std::vector<TokenId>;

// A chunk whose ids are no sentinels and differ from eos.
Ids plain_ids(std::size_t count) {
  Ids ids(count);
  for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<TokenId>(3 + i % 100);
  return ids;
}

std::vector<bool> mask_of(int length, std::uint64_t seed, double density = 0.15, double mean = 3) {
  return random_spans_noise_mask(length, density, mean, RandomStream(seed, Purpose::kTest, 0, 0),
                                 RandomStream(seed, Purpose::kTest, 0, 1));
}

int noise_tokens(const std::vector<bool>& mask) {
  return static_cast<int>(std::count(mask.begin(), mask.end(), true));
}

int noise_spans(const std::vector<bool>& mask) {
  int spans = 0;
  for (std::size_t i = 0; i < mask.size(); ++i) spans += mask[i] && (i == 0 || !mask[i - 1]);
  return spans;
}

// The text that a model is asked to restore: each sentinel of the inputs replaced by what follows it in the
// targets.
Ids merged(const Denoising& parts, const T5Tokenizer& t) {
  std::map<TokenId, Ids> spans;
  TokenId current = -1;
  for (const TokenId id : parts.targets) {
    if (t.is_sentinel(id))
      current = id;
    else if (id != t.eos())
      spans[current].push_back(id);
  }
  Ids all;
  for (const TokenId id : parts.inputs) {
    if (t.is_sentinel(id))
      all.insert(all.end(), spans[id].begin(), spans[id].end());
    else if (id != t.eos())
      all.push_back(id);
  }
  return all;
}

TEST(SpanCorruption, ChunkLengthsOfTheReference) {
  EXPECT_EQ(random_spans_helper(512, 0.15, 3).tokens, 568);
  EXPECT_EQ(random_spans_helper(512, 0.15, 3).targets, 114);
  // The chunk is the longest that fits: its corrupted input is 512 long.
  const auto mask = mask_of(568, 1);
  EXPECT_EQ(568 - noise_tokens(mask) + noise_spans(mask) + 1, 512);
  EXPECT_EQ(noise_tokens(mask) + noise_spans(mask) + 1, 114);
}

TEST(SpanCorruption, HelperAgreesWithMaskForManyLengths) {
  for (const int inputs : {16, 64, 128, 256, 500, 1024}) {
    const ChunkLengths chunk = random_spans_helper(inputs, 0.15, 3);
    const auto mask = mask_of(chunk.tokens, 3);
    EXPECT_LE(chunk.tokens - noise_tokens(mask) + noise_spans(mask) + 1, inputs);
    EXPECT_EQ(noise_tokens(mask) + noise_spans(mask) + 1, chunk.targets) << inputs;
  }
}

TEST(SpanCorruption, MaskHasTheReferencesCounts) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto mask = mask_of(200, seed);
    EXPECT_EQ(noise_tokens(mask), 30);
    EXPECT_EQ(noise_spans(mask), 10);
    EXPECT_FALSE(mask.front());
    EXPECT_TRUE(mask.back());
  }
}

TEST(SpanCorruption, RoundsHalfToEvenAndClips) {
  EXPECT_EQ(noise_tokens(mask_of(10, 1, 0.25, 3)), 2);  // 2.5
  EXPECT_EQ(noise_tokens(mask_of(14, 1, 0.25, 3)), 4);  // 3.5
  EXPECT_EQ(noise_tokens(mask_of(3, 1)), 1);            // 0.45
  EXPECT_EQ(noise_spans(mask_of(3, 1)), 1);
  EXPECT_EQ(noise_tokens(mask_of(2, 1, 0.99, 3)), 1);  // one token is always left
  EXPECT_EQ(noise_tokens(mask_of(1, 1)), 0);           // as the reference: computed for two, cut to one
  EXPECT_EQ(noise_spans(mask_of(10, 1, 0.8, 1)), 2);   // 8 spans need 8 gaps, but only 2 tokens are left
}

TEST(SpanCorruption, EveryWayToCutIsEquallyLikely) {
  std::vector<int> counts(40, 0);
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const auto mask = mask_of(40, seed);
    for (std::size_t i = 0; i < 40; ++i) counts[i] += mask[i];
  }
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 4000 * 6);
  EXPECT_EQ(counts.front(), 0);
  EXPECT_EQ(counts.back(), 4000);
  // 6 tokens in 2 spans, the second at the end. The first has 1 to 5 tokens, starts at 1 to 33, all equally
  // likely.
  for (std::size_t i = 10; i < 30; ++i)
    EXPECT_NEAR(counts[i], 4000 * 3.0 / 33, 90) << i;  // five standard deviations
}

TEST(SpanCorruption, KnownSmallCase) {
  const TinyTokenizer t;
  const Ids ids = {10, 11, 12, 13, 14, 15, 16};
  const std::vector<bool> mask = {false, true, true, false, false, true, false};
  const Denoising parts = corrupt_spans(ids, mask, *t);
  const TokenId s0 = t->sentinel(0), s1 = t->sentinel(1), s2 = t->sentinel(2);
  EXPECT_THAT(parts.inputs, ElementsAre(10, s0, 13, 14, s1, 16, 1));
  EXPECT_THAT(parts.targets, ElementsAre(s0, 11, 12, s1, 15, s2, 1));
}

TEST(SpanCorruption, MergingGivesTheTextBack) {
  const TinyTokenizer t;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Ids ids = plain_ids(100 + 13 * seed);
    const Denoising parts = corrupt_spans(ids, mask_of(static_cast<int>(ids.size()), seed), *t);
    EXPECT_EQ(merged(parts, *t), ids);
    EXPECT_EQ(parts.inputs.back(), t->eos());
    EXPECT_EQ(parts.targets.back(), t->eos());
    EXPECT_EQ(parts.targets.front(), t->sentinel(0));
  }
}

TEST(SpanCorruption, TooManySpans) {
  const TinyTokenizer t(4);
  EXPECT_THAT(message_of<ConfigError>([&] { corrupt_spans(plain_ids(100), mask_of(100, 1), *t); }),
              HasSubstr("more spans than the vocabulary has sentinels (4)"));
}

TEST(SpanCorruption, BadOptions) {
  EXPECT_THAT(message_of<ConfigError>([] { random_spans_helper(512, 0, 3); }),
              HasSubstr("noise_density should"));
  EXPECT_THAT(message_of<ConfigError>([] { random_spans_helper(512, 0.15, 0.5); }),
              HasSubstr("mean_span should"));
  EXPECT_THAT(message_of<ConfigError>([] { random_spans_helper(1, 0.15, 3); }),
              HasSubstr("input length should"));
}

TEST(PrefixLm, SplitsWithEosBehindBoth) {
  const Ids ids = {10, 11, 12};
  EXPECT_THAT(split_prefix(ids, 1, 1).inputs, ElementsAre(10, 1));
  EXPECT_THAT(split_prefix(ids, 1, 1).targets, ElementsAre(11, 12, 1));
  EXPECT_THAT(split_prefix(ids, 2, 1).targets, ElementsAre(12, 1));
  EXPECT_THAT(message_of<Error>([&] { split_prefix(ids, 3, 1); }), HasSubstr("split 3 of 3"));
}

}  // namespace
}  // namespace trimtab
