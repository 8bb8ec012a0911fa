// SPDX-License-Identifier: Apache-2.0
//
// The attention kernel for devices, block by block on the host: its parts against what they stand for, and
// all of it against the composite, with every gradient.
#include "models/ops/ragged_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "models/ops/cross_attention.h"
#include "models/ops/dropout.h"
#include "models/ops/host_launcher.h"
#include "models/ops/op_checks.h"
#include "models/ops/self_attention.h"
#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

using test::UseHostLauncher;
using test::UsePadding;
using testing::expect_same;
using testing::random_tensor;
using testing::relative_difference;
using Inputs = std::vector<at::Tensor>;

ragged::Stream stream_words(const RandomStream& stream) {
  return {{stream.key()[0], stream.key()[1], stream.counter_high()[0], stream.counter_high()[1]}};
}

TEST(RaggedParts, WordsAreThoseOfTheGenerator) {
  const RandomStream stream(5, Purpose::kDropout, 3, 1'000'000'007);
  const ragged::Stream words = stream_words(stream);
  for (const std::uint64_t start : {std::uint64_t{0}, std::uint64_t{7} << 32, ~std::uint64_t{0} - 9})
    for (std::uint64_t i = 0; i < 9; ++i)
      EXPECT_EQ(ragged::random_word(words.words, start + i), stream.bits(start + i)) << start << " + " << i;
}

// One rank's heads 2, 3 of 6: what is drawn is what the mask of all heads holds there.
TEST(RaggedParts, DrawnDropoutIsTheMask) {
  constexpr int kAll = 6, kFirst = 2, kOwn = 2;
  const std::vector<std::uint64_t> samples = {11, 4, 9};
  const RowLayout layout({7, 0, 70});
  const double rate = 0.3;
  const at::Tensor mask = dropout_key_mask(samples, layout, kAll, rate, 1, 2, 3);
  std::vector<ragged::Stream> streams;
  for (const std::uint64_t sample : samples)
    streams.push_back(stream_words(RandomStream(1, Purpose::kDropout, 2, sample)));
  ragged::Setting drawn;
  drawn.heads = kOwn;
  drawn.key_offsets = layout.offsets().data();
  drawn.dropout = {nullptr,
                   streams.data(),
                   3,
                   static_cast<std::uint64_t>(rate * 4294967296.0 + 0.5),
                   static_cast<float>(1.0 / (1.0 - rate)),
                   kAll,
                   kFirst};
  const at::Tensor own = mask.narrow(1, kFirst, kOwn).contiguous();
  ragged::Setting read = drawn;
  read.dropout = {};
  read.dropout.mask = own.const_data_ptr<float>();
  int dropped = 0;
  for (int row = 0; row < 3; ++row)
    for (int key = 0; key < layout.length(row); ++key)
      for (int head = 0; head < kOwn; ++head) {
        const float expected = own[layout.begin(row) + key][head].item<float>();
        EXPECT_EQ(ragged::key_factor(drawn, row, key, head), expected);
        EXPECT_EQ(ragged::key_factor(read, row, key, head), expected);
        dropped += expected == 0.0f;
      }
  EXPECT_GT(dropped, 20);
  EXPECT_LT(dropped, 80);
}

TEST(RaggedParts, BucketsOfDistances) {
  for (const RelativeBias& bias : {RelativeBias{32, 128, true, false}, RelativeBias{32, 128, false, true},
                                   RelativeBias{8, 20, true, false}}) {
    std::vector<int> buckets;
    ragged::Setting s;
    s.reach = static_cast<int>(bias.max_distance);
    for (int d = -s.reach; d <= s.reach; ++d) buckets.push_back(static_cast<int>(relative_bucket(d, bias)));
    s.buckets = buckets.data();
    for (int d = -700; d <= 700; ++d) EXPECT_EQ(ragged::bucket_of(s, d), relative_bucket(d, bias)) << d;
  }
}

TEST(RaggedParts, BFloat16RoundsAsLibTorchDoes) {
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1.0f,
                               1.00390625f,
                               1.01171875f,
                               -3.0e38f,
                               3.4e38f,
                               1e-40f,
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity()};
  const at::Tensor more = random_tensor({1000}, 5, 100.0);
  values.insert(values.end(), more.const_data_ptr<float>(), more.const_data_ptr<float>() + 1000);
  for (const float value : values) {
    ragged::Bfloat16 rounded{};
    ragged::put(&rounded, value);
    EXPECT_EQ(rounded.bits, at::BFloat16(value).x) << value;
    EXPECT_EQ(ragged::to_float(rounded), static_cast<float>(at::BFloat16(value))) << value;
  }
  ragged::Bfloat16 rounded{};
  ragged::put(&rounded, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(ragged::to_float(rounded)));
}

// Sums shrink by what the largest score has grown, and nothing seen yet is no NaN.
TEST(RaggedParts, OnlineSoftmax) {
  EXPECT_EQ(ragged::shrink_of(-HUGE_VALF, 3.0f), 0.0f);
  EXPECT_EQ(ragged::shrink_of(-HUGE_VALF, -HUGE_VALF), 1.0f);
  EXPECT_FLOAT_EQ(ragged::shrink_of(1.0f, 3.0f), std::exp(-2.0f));
  EXPECT_EQ(ragged::weight_of(-HUGE_VALF, -HUGE_VALF), 0.0f);
  EXPECT_FLOAT_EQ(ragged::weight_of(2.0f, 3.0f), std::exp(-1.0f));
}

struct Case {
  std::vector<std::int64_t> lengths;
  std::int64_t heads;
  std::int64_t d_kv;
  bool causal;
  bool masked;
};

class RaggedSelfAttention : public ::testing::TestWithParam<Case> {
 protected:
  RowLayout layout() const { return RowLayout(GetParam().lengths); }
  RelativeBias bias() const { return {8, 20, !GetParam().causal, GetParam().causal}; }
  at::Tensor mask() const {
    if (!GetParam().masked) return {};
    std::vector<std::uint64_t> samples(GetParam().lengths.size());
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = 10 + i;
    return dropout_key_mask(samples, layout(), GetParam().heads, 0.2, 1, 2, 3);
  }
  at::Tensor qkv() const {
    const double deviation = 1.2 / std::pow(static_cast<double>(GetParam().d_kv), 0.25);
    return random_tensor({layout().tokens(), 3 * GetParam().heads * GetParam().d_kv}, 1, deviation);
  }
};
// Rows of one token, of none, of exactly a tile and of one more or less, side by side with long ones; every
// size of a tile, full and not.
INSTANTIATE_TEST_SUITE_P(Ops, RaggedSelfAttention,
                         ::testing::Values(Case{{5, 0, 33, 1}, 3, 16, false, false},
                                           Case{{1, 210, 2, 64}, 2, 64, false, true},
                                           Case{{65, 63, 1, 128}, 2, 40, true, true},
                                           Case{{31, 97, 32}, 2, 128, false, true},
                                           Case{{70, 3}, 2, 80, true, false}, Case{{67}, 1, 256, false, true},
                                           Case{{40, 1}, 1, 136, true, true}, Case{{1}, 1, 5, false, false}));

TEST_P(RaggedSelfAttention, AgreesWithTheComposite) {
  const UseHostLauncher ours(at::kCPU);
  expect_same(
      [&](const Inputs& in) {
        return self_attention(in[0], in[1], bias(), layout(), GetParam().heads, mask());
      },
      [&](const Inputs& in) {
        return detail::self_attention_reference(in[0], in[1], bias(), layout(), GetParam().heads, mask());
      },
      {qkv(), random_tensor({8, GetParam().heads}, 2)}, 1e-5);
  EXPECT_EQ(ours.launches(), 2);
}

TEST_P(RaggedSelfAttention, WithoutBias) {
  const UseHostLauncher ours(at::kCPU);
  expect_same(
      [&](const Inputs& in) { return self_attention(in[0], {}, bias(), layout(), GetParam().heads, mask()); },
      [&](const Inputs& in) {
        return detail::self_attention_reference(in[0], {}, bias(), layout(), GetParam().heads, mask());
      },
      {qkv()}, 1e-5);
  EXPECT_EQ(ours.launches(), 2);
}

TEST_P(RaggedSelfAttention, PaddedAgreesWithTheComposite) {
  const Inputs with_bias = {qkv(), random_tensor({8, GetParam().heads}, 2)};
  for (const Inputs& inputs : {with_bias, Inputs{qkv()}}) {
    const UsePadding ours(at::kCPU);
    const auto table = [](const Inputs& in) { return in.size() > 1 ? in[1] : at::Tensor(); };
    expect_same(
        [&](const Inputs& in) {
          return self_attention(in[0], table(in), bias(), layout(), GetParam().heads, mask());
        },
        [&](const Inputs& in) {
          return detail::self_attention_reference(in[0], table(in), bias(), layout(), GetParam().heads,
                                                  mask());
        },
        inputs, 1e-5);
  }
}

// What is stored is rounded, sums are not: as near to float64 as the type allows.
TEST_P(RaggedSelfAttention, BFloat16) {
  const UseHostLauncher ours(at::kCPU);
  const auto op = [&](const Inputs& in) {
    return self_attention(in[0], in[1], bias(), layout(), GetParam().heads, mask());
  };
  const Inputs inputs = {qkv().to(at::kBFloat16).to(at::kFloat), random_tensor({8, GetParam().heads}, 2)};
  const testing::Differentiated is = testing::differentiate(
      [&](const Inputs& in) {
        return op({in[0].to(at::kBFloat16), in[1]}).to(at::kFloat);
      },
      inputs, at::kFloat);
  const testing::Differentiated expected = testing::differentiate(
      [&](const Inputs& in) {
        return detail::self_attention_reference(in[0], in[1], bias(), layout(), GetParam().heads, mask());
      },
      inputs, at::kDouble);
  EXPECT_EQ(ours.launches(), 2);
  EXPECT_LE(relative_difference(is.output, expected.output), 0.005);
  EXPECT_LE(relative_difference(is.gradients[0], expected.gradients[0]), 0.02);
  EXPECT_LE(relative_difference(is.gradients[1], expected.gradients[1]), 0.02);
}

TEST(RaggedAttention, FrozenBiasGetsNoGradient) {
  const UseHostLauncher ours(at::kCPU);
  const at::Tensor table = random_tensor({8, 3}, 2);
  const at::Tensor qkv = random_tensor({4, 36}, 1).requires_grad_();
  self_attention(qkv, table, {8, 20, true, false}, RowLayout({4}), 3, {}).sum().backward();
  EXPECT_EQ(ours.launches(), 2);
  EXPECT_TRUE(qkv.grad().defined());
  EXPECT_FALSE(table.grad().defined());
}

TEST(RaggedAttention, LargeScoresStayFinite) {
  const UseHostLauncher ours(at::kCPU);
  const at::Tensor qkv = (random_tensor({90, 36}, 1) * 300).requires_grad_();
  const at::Tensor out =
      self_attention(qkv, random_tensor({8, 3}, 2), {8, 20, true, false}, RowLayout({90}), 3, {});
  EXPECT_TRUE(at::isfinite(out).all().item<bool>());
  out.sum().backward();
  EXPECT_TRUE(at::isfinite(qkv.grad()).all().item<bool>());
}

// Heads of queries that share heads of keys, rotary positions, a scale, no bias.
TEST(RaggedAttention, SharedHeadsOfKeys) {
  RotaryTable table({1.0f, 0.3f, 0.1f, 0.03f}, false);
  for (const AttentionHeads& heads :
       {AttentionHeads{6, 2, 0.35}, AttentionHeads{4, 1, 0.5}, AttentionHeads{2, 2, 1.0}}) {
    const UseHostLauncher ours(at::kCPU);
    const RowLayout layout({1, 150, 0, 64, 9});
    const RotaryAngles angles = table.up_to(layout.longest());
    expect_same(
        [&](const Inputs& in) { return causal_attention(in[0], heads, angles, layout); },
        [&](const Inputs& in) { return detail::causal_attention_reference(in[0], heads, angles, layout); },
        {random_tensor({layout.tokens(), (heads.queries + 2 * heads.keys) * 8}, 1)}, 1e-5);
    EXPECT_EQ(ours.launches(), 2);
    const UsePadding padded(at::kCPU);
    expect_same(
        [&](const Inputs& in) { return causal_attention(in[0], heads, angles, layout); },
        [&](const Inputs& in) { return detail::causal_attention_reference(in[0], heads, angles, layout); },
        {random_tensor({layout.tokens(), (heads.queries + 2 * heads.keys) * 8}, 1)}, 1e-5);
  }
}

// Few queries of many keys, many of few, and a row without queries, whose keys get a gradient of zero.
TEST(RaggedAttention, CrossAttention) {
  const UseHostLauncher ours(at::kCPU);
  const RowLayout decoder({2, 0, 130, 1}), encoder({300, 4, 7, 1});
  const at::Tensor mask = dropout_key_mask({1, 2, 3, 4}, encoder, 3, 0.2, 1, 2, 3);
  expect_same(
      [&](const Inputs& in) {
        return attend_to_keys(in[0], {in[1], in[2], encoder}, decoder, 3, mask);
      },
      [&](const Inputs& in) {
        return detail::attend_to_keys_reference(in[0], {in[1], in[2], encoder}, decoder, 3, mask);
      },
      {random_tensor({decoder.tokens(), 36}, 1, 0.5), random_tensor({encoder.tokens(), 36}, 2),
       random_tensor({encoder.tokens(), 36}, 3)},
      1e-5);
  EXPECT_EQ(ours.launches(), 2);
}

TEST(RaggedAttention, RefusesRowsWithoutKeys) {
  const UseHostLauncher ours(at::kCPU);
  const at::Tensor q = random_tensor({2, 12}, 1), k = random_tensor({1, 12}, 2);
  EXPECT_THROW(attend_to_keys(q, {k, k, RowLayout({1, 0})}, RowLayout({1, 1}), 3, {}), Error);
}

// Types and widths that the kernel does not know go on as composed; so does everything without a launcher.
TEST(RaggedAttention, TakesWhatItKnows) {
  const at::Tensor x = at::zeros({1, 4});
  EXPECT_FALSE(detail::has_device_attention(x, 4));
  const UseHostLauncher ours(at::kCPU);
  EXPECT_TRUE(detail::has_device_attention(x, 4, 32));
  EXPECT_TRUE(detail::has_device_attention(x.to(at::kBFloat16), ragged::kWidest));
  EXPECT_FALSE(detail::has_device_attention(x.to(at::kDouble), 4));
  EXPECT_FALSE(detail::has_device_attention(x, ragged::kWidest + 1));
  EXPECT_FALSE(detail::has_device_attention(x, 4, ragged::kThreads + 1));
}

TEST(RaggedAttention, IsChosenByName) {
  const at::Tensor x = at::zeros({1, 4});
  const test::HostLauncher launcher;
  const auto choose = [&](const char* name) { choose_attention(at::kCPU, name, launcher, "--attention"); };
  choose("ragged");
  EXPECT_TRUE(detail::has_device_attention(x, 4));
  EXPECT_FALSE(detail::has_device_attention(x.to(at::kDouble), 4));
  choose("padded");
  EXPECT_TRUE(detail::has_device_attention(x.to(at::kDouble), 4));
  choose("composed");
  EXPECT_FALSE(detail::has_device_attention(x, 4));
  EXPECT_THAT([&] { choose("flash"); }, ::testing::ThrowsMessage<ConfigError>(::testing::HasSubstr(
                                            "--attention is 'flash'; it can be padded")));
}

}  // namespace
}  // namespace trimtab
