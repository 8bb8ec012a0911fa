// SPDX-License-Identifier: Apache-2.0
//
// Rotary positions and attention with shared heads of keys: known answers, the composite, and decoding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/ops/decode_attention.h"
#include "models/ops/op_checks.h"
#include "models/ops/rotary.h"
#include "models/ops/self_attention.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::expect_same;
using testing::expect_thread_independent;
using testing::Op;
using testing::random_tensor;
using testing::relative_difference;
using Inputs = std::vector<at::Tensor>;

RotaryTable table_of(std::int64_t head_dim, bool interleaved) {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < head_dim; i += 2)
    frequencies.push_back(std::pow(100.0f, -static_cast<float>(i) / static_cast<float>(head_dim)));
  return {frequencies, interleaved};
}

TEST(Rotary, TurnsPairsByPositionTimesFrequency) {
  for (const bool interleaved : {false, true}) {
    RotaryTable table({1.0f, 0.25f}, interleaved);
    const RotaryAngles angles = table.at({0, 3});
    const at::Tensor x = at::tensor({1.0f, 2.0f, 3.0f, 4.0f}).repeat({2, 1});
    const at::Tensor y = detail::rotated_reference(x, 1, angles);
    EXPECT_TRUE(at::equal(y[0], x[0])) << "position 0 stays as it is";
    // The first pair at position 3 turns by 3, the second by 0.75.
    const int second = interleaved ? 1 : 2;
    const double a = x[1][0].item<double>(), b = x[1][second].item<double>();
    EXPECT_NEAR(y[1][0].item<double>(), a * std::cos(3.0) - b * std::sin(3.0), 1e-6);
    EXPECT_NEAR(y[1][second].item<double>(), a * std::sin(3.0) + b * std::cos(3.0), 1e-6);
    const int other = interleaved ? 2 : 1;
    const double c = x[1][other].item<double>(), d = x[1][3].item<double>();
    EXPECT_NEAR(y[1][other].item<double>(), c * std::cos(0.75) - d * std::sin(0.75), 1e-6);
    EXPECT_NEAR(y[1][3].item<double>(), c * std::sin(0.75) + d * std::cos(0.75), 1e-6);
  }
}

// The table grows, and what it gave before does not change.
TEST(Rotary, TableGrowsOnDemand) {
  RotaryTable table = table_of(8, false);
  const RotaryAngles few = table.up_to(3);
  const RotaryAngles more = table.up_to(50);
  EXPECT_EQ(more.cos.sizes(), at::IntArrayRef({50, 4}));
  EXPECT_TRUE(at::equal(few.sin, more.sin.narrow(0, 0, 3)));
  EXPECT_TRUE(at::equal(table.at({49, 2}).cos[0], more.cos[49]));
}

struct Case {
  std::vector<std::int64_t> lengths;
  AttentionHeads heads;
  std::int64_t head_dim;
  bool interleaved;
};

class CausalAttentionCases : public ::testing::TestWithParam<Case> {
 protected:
  RowLayout layout() const { return RowLayout(GetParam().lengths); }
  RotaryAngles angles() const {
    return table_of(GetParam().head_dim, GetParam().interleaved).up_to(layout().longest());
  }
  at::Tensor qkv() const {
    const AttentionHeads& heads = GetParam().heads;
    return random_tensor({layout().tokens(), (heads.queries + 2 * heads.keys) * GetParam().head_dim}, 1);
  }
};

// 700 tokens need several blocks of queries; empty rows, one token and odd widths are the edges.
INSTANTIATE_TEST_SUITE_P(
    Ops, CausalAttentionCases,
    ::testing::Values(Case{{5, 0, 33, 1}, {4, 2, 0.25}, 16, false}, Case{{5, 33, 1}, {3, 1, 0.5}, 16, true},
                      Case{{700, 3}, {2, 2, 0.35}, 8, false}, Case{{9, 17}, {6, 2, 1.0}, 10, false},
                      Case{{9, 17}, {9, 3, 0.3}, 2, true}, Case{{1}, {1, 1, 1.0}, 4, false}));

TEST_P(CausalAttentionCases, AgreesWithTheComposite) {
  const RotaryAngles turned = angles();
  const Op op = [&](const Inputs& in) { return causal_attention(in[0], GetParam().heads, turned, layout()); };
  const Op composite = [&](const Inputs& in) {
    return detail::causal_attention_reference(in[0], GetParam().heads, turned, layout());
  };
  expect_same(op, composite, {qkv()}, 1e-5);
  expect_thread_independent(op, {qkv()});
}

// A first part at once, then token by token, gives what the whole row gives.
TEST_P(CausalAttentionCases, DecodingEqualsTheRow) {
  const RowLayout whole = layout();
  if (whole.longest() > 100) return;  // decoded one by one below
  const AttentionHeads& heads = GetParam().heads;
  const at::Tensor all = qkv();
  const at::Tensor expected = causal_attention(all, heads, angles(), whole);
  for (std::int64_t row = 0; row < whole.rows(); ++row) {
    const std::int64_t length = whole.length(row), first = length / 2;
    const at::Tensor tokens = all.narrow(0, whole.begin(row), length);
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      RotaryTable table = table_of(GetParam().head_dim, GetParam().interleaved);
      KvCache cache(1, length, heads.keys * GetParam().head_dim, all.options().dtype(type));
      fill_cache(cache, tokens.narrow(0, 0, first).to(type), heads, table.up_to(first), RowLayout({first}));
      for (std::int64_t t = first; t < length; ++t) {
        const at::Tensor out =
            causal_attention_step(tokens.narrow(0, t, 1).to(type), cache, heads, table.at({t}));
        EXPECT_LE(relative_difference(out[0], expected[whole.begin(row) + t]), 1e-5) << row << " " << t;
      }
      EXPECT_EQ(cache.lengths[0], length);
    }
  }
}

TEST(CausalAttention, BFloat16TakesTheCompositeAndKeepsItsType) {
  const at::Tensor qkv = random_tensor({9, 8 * 8}, 1);
  const AttentionHeads heads{4, 2, 0.35};
  const RotaryAngles angles = table_of(8, false).up_to(9);
  const at::Tensor half = causal_attention(qkv.to(at::kBFloat16), heads, angles, RowLayout({4, 5}));
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  EXPECT_LE(relative_difference(half, causal_attention(qkv, heads, angles, RowLayout({4, 5}))), 0.03);
}

TEST(CausalAttention, ShapesThatDoNotFitAreErrors) {
  const auto message = [](const std::function<void()>& body) -> std::string {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const RotaryAngles angles = table_of(8, false).up_to(4);
  using ::testing::HasSubstr;
  EXPECT_THAT(message([&] {
                causal_attention(at::zeros({4, 63}), {4, 2, 1.0}, angles, RowLayout({4}));
              }),
              HasSubstr("a width of 63 for 4 heads of queries and 2 of keys"));
  EXPECT_THAT(message([&] {
                causal_attention(at::zeros({5, 64}), {4, 2, 1.0}, angles, RowLayout({5}));
              }),
              HasSubstr("angles [4, 4] for rows of 5 and a head of 8"));
  EXPECT_THAT(message([&] {
                causal_attention(at::zeros({4, 80}), {4, 2, 1.0}, angles, RowLayout({4}));
              }),
              HasSubstr("a head of 10"));
  KvCache cache(1, 3, 16, at::TensorOptions(at::kFloat));
  EXPECT_THAT(message([&] {
                fill_cache(cache, at::zeros({4, 64}), {4, 2, 1.0}, angles, RowLayout({4}));
              }),
              HasSubstr("has no room for 4 tokens"));
}

}  // namespace
}  // namespace trimtab
