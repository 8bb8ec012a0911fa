// SPDX-License-Identifier: Apache-2.0
#include "models/ops/cross_attention.h"

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

constexpr std::int64_t kHeads = 3;

struct Case {
  std::vector<std::int64_t> decoder;
  std::vector<std::int64_t> encoder;
  std::int64_t d_kv;
  std::int64_t d_model;
  bool masked;
};

class CrossAttentionCases : public ::testing::TestWithParam<Case> {
 protected:
  RowLayout decoder() const { return RowLayout(GetParam().decoder); }
  RowLayout encoder() const { return RowLayout(GetParam().encoder); }
  at::Tensor mask() const {
    if (!GetParam().masked) return {};
    std::vector<std::uint64_t> samples(GetParam().encoder.size(), 4);
    return dropout_key_mask(samples, encoder(), kHeads, 0.2, 1, 2, 3);
  }
  // q, encoder, wk, wv: scores of deviation about 1.
  Inputs inputs() const {
    const std::int64_t inner = kHeads * GetParam().d_kv;
    const double small = 1.0 / std::sqrt(static_cast<double>(GetParam().d_model));
    return {random_tensor({decoder().tokens(), inner}, 1, 0.5),
            random_tensor({encoder().tokens(), GetParam().d_model}, 2),
            random_tensor({inner, GetParam().d_model}, 3, small),
            random_tensor({inner, GetParam().d_model}, 4, small)};
  }
};
// The second row of the first two cases has no decoder token, and in the last case a long target takes
// several blocks.
INSTANTIATE_TEST_SUITE_P(Ops, CrossAttentionCases,
                         ::testing::Values(Case{{2, 0, 5}, {31, 4, 7}, 8, 20, false},
                                           Case{{2, 0, 5}, {31, 4, 7}, 8, 20, true},
                                           Case{{3, 4}, {180, 90}, 16, 48, true}, Case{{1}, {1}, 5, 7, false},
                                           Case{{150}, {700}, 8, 20, true}));

TEST_P(CrossAttentionCases, ProjectedAgreesWithTheComposite) {
  const Op op = [&](const Inputs& in) {
    return detail::cross_attention_projected(in[0], in[1], in[2], in[3], decoder(), encoder(), kHeads,
                                             mask());
  };
  expect_same(
      op,
      [&](const Inputs& in) {
        return detail::cross_attention_reference(in[0], in[1], in[2], in[3], decoder(), encoder(), kHeads,
                                                 mask());
      },
      inputs(), 1e-5);
}

TEST_P(CrossAttentionCases, AbsorbedAgreesWithTheComposite) {
  const Inputs all = inputs();
  const auto frozen = [&](const Inputs& in, std::size_t i) { return all[i].to(in[0].scalar_type()); };
  const Op op = [&](const Inputs& in) {
    return detail::cross_attention_absorbed(in[0], in[1], all[2], all[3], decoder(), encoder(), kHeads,
                                            mask());
  };
  expect_same(
      op,
      [&](const Inputs& in) {
        return detail::cross_attention_reference(in[0], in[1], frozen(in, 2), frozen(in, 3), decoder(),
                                                 encoder(), kHeads, mask());
      },
      {all[0], all[1]}, 1e-5);
  expect_thread_independent(op, {all[0], all[1]});
}

TEST_P(CrossAttentionCases, ThePathsAgree) {
  const Inputs all = inputs();
  expect_same(
      [&](const Inputs& in) {
        return cross_attention(in[0], in[1], all[2], all[3], decoder(), encoder(), kHeads, mask());
      },
      [&](const Inputs& in) {
        return detail::cross_attention_projected(in[0], in[1], all[2].to(in[0].scalar_type()),
                                                 all[3].to(in[0].scalar_type()), decoder(), encoder(), kHeads,
                                                 mask());
      },
      {all[0], all[1]}, 1e-5);
}

TEST(CrossAttention, OnlyWhatRequiresAGradientGetsOne) {
  const at::Tensor q = random_tensor({2, 24}, 1);
  const at::Tensor encoder = random_tensor({30, 20}, 2).requires_grad_();
  const at::Tensor w = random_tensor({24, 20}, 3);
  detail::cross_attention_absorbed(q, encoder, w, w, RowLayout({2}), RowLayout({30}), kHeads, {})
      .sum()
      .backward();
  EXPECT_TRUE(encoder.grad().defined());
  EXPECT_FALSE(q.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

// Short targets are absorbed, long ones projected; d_kv is about where the two meet.
TEST(CrossAttention, CostsCrossNearTheHeadWidth) {
  const RowLayout encoder({250, 250});
  const auto absorbed_wins = [&](std::int64_t targets) {
    const RowLayout decoder({targets, targets});
    return detail::absorbed_cost(decoder, encoder, 768, 768, 12) <
           detail::projected_cost(decoder, encoder, 768, 768);
  };
  EXPECT_TRUE(absorbed_wins(2));
  EXPECT_TRUE(absorbed_wins(40));
  EXPECT_FALSE(absorbed_wins(80));
}

TEST(CrossAttention, TrainedProjectionsTakeTheProjectedPath) {
  const at::Tensor wk = random_tensor({24, 20}, 3).requires_grad_();
  const at::Tensor wv = random_tensor({24, 20}, 4);
  cross_attention(random_tensor({2, 24}, 1), random_tensor({30, 20}, 2), wk, wv, RowLayout({2}),
                  RowLayout({30}), kHeads, {})
      .sum()
      .backward();
  EXPECT_TRUE(wk.grad().defined());
  EXPECT_THROW(detail::cross_attention_absorbed(random_tensor({2, 24}, 1), random_tensor({30, 20}, 2), wk, wv,
                                                RowLayout({2}), RowLayout({30}), kHeads, {}),
               Error);
}

TEST(CrossAttention, Errors) {
  const at::Tensor w = random_tensor({24, 20}, 3);
  const auto message = [&](const RowLayout& decoder, const RowLayout& encoder,
                           std::int64_t d_model) -> std::string {
    try {
      cross_attention(at::zeros({2, 24}), at::zeros({30, d_model}), w, w, decoder, encoder, kHeads, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message(RowLayout({3}), RowLayout({30}), 20), HasSubstr("2 decoder tokens laid out as 3"));
  EXPECT_THAT(message(RowLayout({2}), RowLayout({29}), 20), HasSubstr("30 encoder tokens laid out as 29"));
  EXPECT_THAT(message(RowLayout({1, 1}), RowLayout({30}), 20),
              HasSubstr("2 decoder rows and 1 encoder rows"));
  EXPECT_THAT(message(RowLayout({1, 1}), RowLayout({30, 0}), 20),
              HasSubstr("row 1 has 1 decoder tokens and no"));
  EXPECT_THAT(message(RowLayout({2}), RowLayout({30}), 19), HasSubstr("expected [24, 19]"));
}

TEST(CrossAttentionStep, EqualsCrossAttention) {
  const RowLayout encoder_layout({6, 30, 1});
  const at::Tensor q = random_tensor({3, 24}, 1);
  const at::Tensor encoder = random_tensor({37, 20}, 2);
  const at::Tensor wk = random_tensor({24, 20}, 3);
  const at::Tensor wv = random_tensor({24, 20}, 4);
  const auto projected = [&](at::ScalarType type) {
    const at::Tensor x = encoder.to(type);
    return KeysAndValues{at::matmul(x, wk.to(type).t()), at::matmul(x, wv.to(type).t()), encoder_layout};
  };
  const KeysAndValues seen = projected(at::kFloat);
  const at::Tensor expected =
      detail::cross_attention_projected(q, encoder, wk, wv, RowLayout({1, 1, 1}), encoder_layout, kHeads, {});
  EXPECT_LE(testing::relative_difference(cross_attention_step(q, seen, kHeads), expected), 1e-5);
  EXPECT_LE(testing::relative_difference(
                cross_attention_step(q.to(at::kBFloat16), projected(at::kBFloat16), kHeads), expected),
            0.1);
  EXPECT_LE(testing::relative_difference(
                cross_attention_step(q.to(at::kDouble), projected(at::kDouble), kHeads), expected),
            1e-5);
  EXPECT_THROW(cross_attention_step(q.narrow(0, 0, 2), seen, kHeads), Error);
}

}  // namespace
}  // namespace trimtab
