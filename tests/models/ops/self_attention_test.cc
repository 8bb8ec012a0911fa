// SPDX-License-Identifier: Apache-2.0
#include "models/ops/self_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/ops/decode_attention.h"
#include "models/ops/dropout.h"
#include "models/ops/op_checks.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::expect_same;
using testing::expect_thread_independent;
using testing::Op;
using testing::random_tensor;
using Inputs = std::vector<at::Tensor>;
using Border = std::pair<std::int64_t, std::int64_t>;

constexpr std::int64_t kHeads = 3;

// First distance of each bucket, over -700 .. 700.
std::vector<Border> borders(const RelativeBias& bias) {
  std::vector<Border> found;
  for (std::int64_t distance = -700; distance <= 700; ++distance) {
    const std::int64_t bucket = relative_bucket(distance, bias);
    if (found.empty() || found.back().second != bucket) found.emplace_back(distance, bucket);
  }
  return found;
}

// The borders that transformers' T5Attention._relative_position_bucket gives.
TEST(RelativeBucket, BordersAreThoseOfTheReference) {
  EXPECT_THAT(borders({32, 128, true, false}),
              ::testing::ElementsAreArray(std::vector<Border>{
                  {-700, 15}, {-90, 14}, {-63, 13}, {-45, 12}, {-31, 11}, {-22, 10}, {-15, 9}, {-11, 8},
                  {-7, 7},    {-6, 6},   {-5, 5},   {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},  {0, 0},
                  {1, 17},    {2, 18},   {3, 19},   {4, 20},   {5, 21},   {6, 22},   {7, 23},  {8, 24},
                  {12, 25},   {16, 26},  {23, 27},  {32, 28},  {46, 29},  {64, 30},  {91, 31}}));
  EXPECT_THAT(borders({8, 20, true, false}),
              ::testing::ElementsAreArray(
                  std::vector<Border>{{-700, 3}, {-6, 2}, {-1, 1}, {0, 0}, {1, 5}, {2, 6}, {7, 7}}));
  EXPECT_THAT(borders({32, 128, false, true}),
              ::testing::ElementsAreArray(std::vector<Border>{
                  {-700, 31}, {-112, 30}, {-98, 29}, {-86, 28}, {-76, 27}, {-66, 26}, {-58, 25}, {-51, 24},
                  {-45, 23},  {-39, 22},  {-34, 21}, {-30, 20}, {-26, 19}, {-23, 18}, {-20, 17}, {-18, 16},
                  {-15, 15},  {-14, 14},  {-13, 13}, {-12, 12}, {-11, 11}, {-10, 10}, {-9, 9},   {-8, 8},
                  {-7, 7},    {-6, 6},    {-5, 5},   {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},   {0, 0}}));
  EXPECT_THAT(borders({8, 20, false, true}),
              ::testing::ElementsAreArray(std::vector<Border>{
                  {-700, 7}, {-13, 6}, {-8, 5}, {-5, 4}, {-3, 3}, {-2, 2}, {-1, 1}, {0, 0}}));
}

struct Case {
  std::vector<std::int64_t> lengths;
  std::int64_t d_kv;
  bool causal;
  bool masked;
};

class SelfAttentionCases : public ::testing::TestWithParam<Case> {
 protected:
  RowLayout layout() const { return RowLayout(GetParam().lengths); }
  RelativeBias bias() const { return {8, 20, !GetParam().causal, GetParam().causal}; }
  at::Tensor mask() const {
    if (!GetParam().masked) return {};
    std::vector<std::uint64_t> samples(GetParam().lengths.size());
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = 10 + i;
    return dropout_key_mask(samples, layout(), kHeads, 0.2, 1, 2, 3);
  }
  at::Tensor qkv() const { return random_tensor({layout().tokens(), 3 * kHeads * GetParam().d_kv}, 1, 0.6); }
};
// 700 tokens need several blocks of queries; 1 token, empty rows and widths that fill no vector are the
// edges.
INSTANTIATE_TEST_SUITE_P(Ops, SelfAttentionCases,
                         ::testing::Values(Case{{5, 0, 33, 1}, 16, false, false},
                                           Case{{5, 0, 33, 1}, 16, true, true},
                                           Case{{180, 64}, 64, false, true}, Case{{700}, 8, false, true},
                                           Case{{700, 3}, 8, true, true}, Case{{9, 17}, 5, true, false},
                                           Case{{1}, 4, false, false}));

TEST_P(SelfAttentionCases, AgreesWithTheComposite) {
  const Inputs inputs = {qkv(), random_tensor({8, kHeads}, 2)};
  const Op op = [&](const Inputs& in) {
    return self_attention(in[0], in[1], bias(), layout(), kHeads, mask());
  };
  expect_same(
      op,
      [&](const Inputs& in) {
        return detail::self_attention_reference(in[0], in[1], bias(), layout(), kHeads, mask());
      },
      inputs, 1e-5);
  expect_thread_independent(op, inputs);
}

TEST_P(SelfAttentionCases, WithoutBias) {
  expect_same([&](const Inputs& in) { return self_attention(in[0], {}, bias(), layout(), kHeads, mask()); },
              [&](const Inputs& in) {
                return detail::self_attention_reference(in[0], {}, bias(), layout(), kHeads, mask());
              },
              {qkv()}, 1e-5);
}

TEST(SelfAttention, FrozenBiasGetsNoGradient) {
  const at::Tensor table = random_tensor({8, kHeads}, 2);
  const at::Tensor qkv = random_tensor({4, 36}, 1).requires_grad_();
  self_attention(qkv, table, {8, 20, true, false}, RowLayout({4}), kHeads, {}).sum().backward();
  EXPECT_TRUE(qkv.grad().defined());
  EXPECT_FALSE(table.grad().defined());
}

TEST(SelfAttention, ARowDoesNotSeeItsNeighbours) {
  const at::Tensor qkv = random_tensor({9, 36}, 1);
  const at::Tensor table = random_tensor({8, kHeads}, 2);
  const RelativeBias bias = {8, 20, true, false};
  const at::Tensor both = self_attention(qkv, table, bias, RowLayout({4, 5}), kHeads, {});
  const at::Tensor one = self_attention(qkv.narrow(0, 4, 5), table, bias, RowLayout({5}), kHeads, {});
  EXPECT_LE(testing::relative_difference(both.narrow(0, 4, 5), one), 1e-6);
}

TEST(SelfAttention, LargeScoresStayFinite) {
  const at::Tensor qkv = (random_tensor({30, 36}, 1) * 300).requires_grad_();
  const at::Tensor out =
      self_attention(qkv, random_tensor({8, kHeads}, 2), {8, 20, true, false}, RowLayout({30}), kHeads, {});
  EXPECT_TRUE(at::isfinite(out).all().item<bool>());
  out.sum().backward();
  EXPECT_TRUE(at::isfinite(qkv.grad()).all().item<bool>());
}

TEST(SelfAttention, BFloat16TakesTheComposite) {
  const at::Tensor qkv = random_tensor({9, 36}, 1);
  const at::Tensor table = random_tensor({8, kHeads}, 2);
  const RelativeBias bias = {8, 20, true, false};
  const RowLayout layout({4, 5});
  const at::Tensor half =
      self_attention(qkv.to(at::kBFloat16), table.to(at::kBFloat16), bias, layout, kHeads, {});
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  EXPECT_LE(testing::relative_difference(half, self_attention(qkv, table, bias, layout, kHeads, {})), 0.03);
}

TEST(SelfAttention, Errors) {
  const RelativeBias bias = {8, 20, true, false};
  const at::Tensor table = at::zeros({8, kHeads});
  auto message = [&](auto call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message([&] {
                self_attention(at::zeros({4, 35}), table, bias, RowLayout({4}), kHeads, {});
              }),
              HasSubstr("35 is not 3 times 3 heads"));
  EXPECT_THAT(message([&] {
                self_attention(at::zeros({4, 36}), table, bias, RowLayout({5}), kHeads, {});
              }),
              HasSubstr("4 tokens laid out as 5"));
  EXPECT_THAT(message([&] {
                self_attention(at::zeros({4, 36}), at::zeros({7, 3}), bias, RowLayout({4}), kHeads, {});
              }),
              HasSubstr("21 numbers for 8 buckets"));
  EXPECT_THAT(message([&] {
                self_attention(at::zeros({4, 36}), table, bias, RowLayout({4}), kHeads, at::zeros({4, 2}));
              }),
              HasSubstr("expected [4, 3]"));
}

// Decoding token by token gives what the whole row gives at once.
TEST(SelfAttentionStep, EqualsTheCausalRow) {
  const RelativeBias bias = {8, 20, false, true};
  const at::Tensor table = random_tensor({8, kHeads}, 2);
  constexpr std::int64_t kSteps = 7;
  const at::Tensor qkv = random_tensor({2 * kSteps, 36}, 1);
  const at::Tensor whole = self_attention(qkv, table, bias, RowLayout({kSteps, kSteps}), kHeads, {});
  KvCache cache(2, kSteps, 12, qkv.options());
  KvCache composite(2, kSteps, 12, qkv.options().dtype(at::kDouble));
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const at::Tensor fresh = at::stack({qkv[step], qkv[kSteps + step]});
    const at::Tensor out = self_attention_step(fresh, cache, table, bias, kHeads);
    const at::Tensor plain = self_attention_step(fresh.to(at::kDouble), composite, table, bias, kHeads);
    EXPECT_LE(testing::relative_difference(plain, out), 1e-5) << step;
    EXPECT_LE(testing::relative_difference(out[0], whole[step]), 1e-5) << step;
    EXPECT_LE(testing::relative_difference(out[1], whole[kSteps + step]), 1e-5) << step;
  }
  EXPECT_THROW(self_attention_step(qkv.narrow(0, 0, 2), cache, table, bias, kHeads), Error);
}

// Rows that joined the batch at different lengths.
TEST(SelfAttentionStep, RowsMayDifferInLength) {
  const RelativeBias bias = {8, 20, false, true};
  const at::Tensor table = random_tensor({8, kHeads}, 2);
  const at::Tensor qkv = random_tensor({5, 36}, 1);
  KvCache cache(2, 8, 12, qkv.options());
  cache.lengths = {4, 0};
  cache.keys[0].narrow(0, 0, 4).copy_(qkv.narrow(0, 0, 4).narrow(1, 12, 12));
  cache.values[0].narrow(0, 0, 4).copy_(qkv.narrow(0, 0, 4).narrow(1, 24, 12));
  const at::Tensor out = self_attention_step(at::stack({qkv[4], qkv[0]}), cache, table, bias, kHeads);
  const at::Tensor whole = self_attention(qkv, table, bias, RowLayout({5}), kHeads, {});
  EXPECT_LE(testing::relative_difference(out[0], whole[4]), 1e-5);
  EXPECT_LE(testing::relative_difference(out[1], whole[0]), 1e-5);
  EXPECT_THAT(cache.lengths, ::testing::ElementsAre(5, 1));
}

}  // namespace
}  // namespace trimtab
