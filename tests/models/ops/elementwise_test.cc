// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/ops/dropout.h"
#include "models/ops/feed_forward.h"
#include "models/ops/flush_denormals.h"
#include "models/ops/op_checks.h"
#include "models/ops/rms_norm.h"
#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

using testing::expect_same;
using testing::expect_thread_independent;
using testing::random_tensor;
using Inputs = std::vector<at::Tensor>;

const std::vector<std::uint64_t> kSamples = {7, 3, 11, 40};
// An empty row in the middle; 97 tokens.
RowLayout ragged() { return RowLayout({5, 0, 60, 32}); }

at::Tensor mask_of(std::int64_t width) { return dropout_mask(kSamples, width, 0.25, 1, 2, 3); }

class Widths : public ::testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Ops, Widths, ::testing::Values(2, 7, 24, 100, 768));

TEST_P(Widths, RmsNorm) {
  const Inputs inputs = {random_tensor({97, GetParam()}, 1, 3.0), random_tensor({GetParam()}, 2)};
  expect_same([](const Inputs& in) { return rms_norm(in[0], in[1], 1e-6); },
              [](const Inputs& in) { return detail::rms_norm_reference(in[0], in[1], 1e-6); }, inputs, 1e-5);
  expect_thread_independent([](const Inputs& in) { return rms_norm(in[0], in[1], 1e-6); }, inputs);
}

TEST_P(Widths, DropoutRows) {
  const RowLayout layout = ragged();
  const at::Tensor mask = mask_of(GetParam());
  expect_same([&](const Inputs& in) { return dropout_rows(in[0], mask, layout); },
              [&](const Inputs& in) { return detail::dropout_rows_reference(in[0], mask, layout); },
              {random_tensor({97, GetParam()}, 1)});
}

TEST_P(Widths, AddDropout) {
  const RowLayout layout = ragged();
  const at::Tensor mask = mask_of(GetParam());
  const Inputs inputs = {random_tensor({97, GetParam()}, 1), random_tensor({97, GetParam()}, 2)};
  expect_same([&](const Inputs& in) { return add_dropout(in[0], in[1], mask, layout); },
              [&](const Inputs& in) { return detail::add_dropout_reference(in[0], in[1], mask, layout); },
              inputs);
  expect_same([&](const Inputs& in) { return add_dropout(in[0], in[1], {}, layout); },
              [&](const Inputs& in) { return detail::add_dropout_reference(in[0], in[1], {}, layout); },
              inputs);
}

TEST_P(Widths, GatedGelu) {
  const RowLayout layout = ragged();
  for (const at::Tensor& mask : {at::Tensor(), mask_of(GetParam())}) {
    const testing::Op op = [&](const Inputs& in) { return gated_gelu(in[0], mask, layout); };
    const Inputs inputs = {random_tensor({97, 2 * GetParam()}, 1, 3.0)};
    expect_same(
        op, [&](const Inputs& in) { return detail::gated_gelu_reference(in[0], mask, layout); }, inputs);
    expect_thread_independent(op, inputs);
  }
}

TEST_P(Widths, GatedSilu) {
  const RowLayout layout = ragged();
  for (const at::Tensor& mask : {at::Tensor(), mask_of(GetParam())}) {
    const testing::Op op = [&](const Inputs& in) { return gated_silu(in[0], mask, layout); };
    const Inputs inputs = {random_tensor({97, 2 * GetParam()}, 1, 3.0)};
    expect_same(
        op, [&](const Inputs& in) { return detail::gated_silu_reference(in[0], mask, layout); }, inputs);
    expect_thread_independent(op, inputs);
  }
}

TEST_P(Widths, ReluDropout) {
  const RowLayout layout = ragged();
  for (const at::Tensor& mask : {at::Tensor(), mask_of(GetParam())})
    expect_same([&](const Inputs& in) { return relu_dropout(in[0], mask, layout); },
                [&](const Inputs& in) { return detail::relu_dropout_reference(in[0], mask, layout); },
                {random_tensor({97, GetParam()}, 1)});
}

TEST(RmsNorm, KnownAnswerAndNoGradientForAFrozenWeight) {
  const at::Tensor x = at::tensor({3.0f, 4.0f}).view({1, 2}).requires_grad_();
  const at::Tensor weight = at::tensor({1.0f, 2.0f});
  const at::Tensor y = rms_norm(x, weight, 0.0);
  EXPECT_NEAR(y[0][0].item<float>(), 3.0 / std::sqrt(12.5), 1e-6);
  EXPECT_NEAR(y[0][1].item<float>(), 8.0 / std::sqrt(12.5), 1e-6);
  y.sum().backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

TEST(RmsNorm, WidthThatDoesNotFitIsAnError) {
  try {
    rms_norm(at::zeros({2, 3}), at::zeros({4}), 1e-6);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("a norm of width 4 meets"));
  }
}

TEST(BFloat16, TakesTheCompositeAndKeepsItsType) {
  const RowLayout layout = ragged();
  const at::Tensor x = random_tensor({97, 8}, 1).to(at::kBFloat16);
  for (const at::Tensor& y :
       {rms_norm(x, at::ones({8}, at::kBFloat16), 1e-6), add_dropout(x, x, mask_of(8), layout),
        dropout_rows(x, mask_of(8), layout), relu_dropout(x, mask_of(8), layout),
        gated_gelu(at::cat({x, x}, 1), mask_of(8), layout)}) {
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    EXPECT_EQ(y.size(0), 97);
    EXPECT_TRUE(at::isfinite(y).all().item<bool>());
  }
}

TEST(GatedGelu, ExtremesStayFinite) {
  const RowLayout layout({1});
  const at::Tensor ab =
      at::tensor({-1e30f, -60.0f, 60.0f, 1e18f, 1.0f, 1.0f, 1.0f, 1.0f}).view({1, 8}).requires_grad_();
  const at::Tensor y = gated_gelu(ab, {}, layout);
  EXPECT_NEAR(y[0][1].item<float>(), 0.0, 1e-30);
  EXPECT_FLOAT_EQ(y[0][2].item<float>(), 60.0f);
  EXPECT_FLOAT_EQ(y[0][3].item<float>(), 1e18f);
  y.sum().backward();
  EXPECT_TRUE(at::isfinite(ab.grad()).all().item<bool>());
  EXPECT_NEAR(ab.grad()[0][0].item<float>(), 0.0, 1e-6);
  EXPECT_FLOAT_EQ(ab.grad()[0][2].item<float>(), 1.0f);
}

TEST(GatedSilu, KnownAnswersAndExtremes) {
  const at::Tensor ab = at::tensor({1.0f, -1e38f, 60.0f, 2.0f, 1.0f, 1.0f}).view({1, 6}).requires_grad_();
  const at::Tensor y = gated_silu(ab, {}, RowLayout({1}));
  EXPECT_NEAR(y[0][0].item<float>(), 2.0 / (1.0 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(y[0][1].item<float>(), 0.0, 1e-30);
  EXPECT_FLOAT_EQ(y[0][2].item<float>(), 60.0f);
  y.sum().backward();
  EXPECT_TRUE(at::isfinite(ab.grad()).all().item<bool>());
  EXPECT_NEAR(ab.grad()[0][1].item<float>(), 0.0, 1e-6);
  EXPECT_TRUE(std::isnan(
      gated_silu(at::tensor({std::nanf(""), 1.0f}).view({1, 2}), {}, RowLayout({1})).item<float>()));
}

TEST(GatedGelu, NotANumberIsNotHidden) {
  const at::Tensor y = gated_gelu(at::tensor({std::nanf(""), 1.0f}).view({1, 2}), {}, RowLayout({1}));
  EXPECT_TRUE(std::isnan(y.item<float>()));
}

TEST(AddDropout, TheResidualGradientIsTheSameTensor) {
  const RowLayout layout({2});
  const at::Tensor residual = random_tensor({2, 4}, 1).requires_grad_();
  const at::Tensor y =
      add_dropout(residual, random_tensor({2, 4}, 2), dropout_mask({5}, 4, 0.5, 1, 1, 1), layout);
  const at::Tensor direction = random_tensor({2, 4}, 3);
  const auto gradients = torch::autograd::grad({y}, {residual}, {direction});
  EXPECT_EQ(gradients[0].data_ptr(), direction.data_ptr());
}

TEST(DropoutMask, IsAFunctionOfSeedStepSampleSiteAndColumn) {
  const at::Tensor mask = dropout_mask(kSamples, 64, 0.1, 5, 9, 2);
  ASSERT_EQ(mask.sizes(), at::IntArrayRef({4, 64}));
  EXPECT_TRUE(at::equal(dropout_mask({11}, 64, 0.1, 5, 9, 2)[0], mask[2]));
  EXPECT_TRUE(at::equal(dropout_mask({11}, 30, 0.1, 5, 9, 2)[0], mask[2].narrow(0, 0, 30)));
  EXPECT_FALSE(at::equal(dropout_mask({11}, 64, 0.1, 6, 9, 2)[0], mask[2]));
  EXPECT_FALSE(at::equal(dropout_mask({11}, 64, 0.1, 5, 8, 2)[0], mask[2]));
  EXPECT_FALSE(at::equal(dropout_mask({11}, 64, 0.1, 5, 9, 3)[0], mask[2]));
  const RandomStream stream(5, Purpose::kDropout, 9, 11);
  for (std::uint64_t column = 0; column < 64; ++column) {
    const bool kept = stream.bits((std::uint64_t{2} << 32) + column) >= 429496730u;  // 0.1 * 2^32
    EXPECT_FLOAT_EQ(mask[2][static_cast<std::int64_t>(column)].item<float>(), kept ? 1.0f / 0.9f : 0.0f);
  }
}

TEST(DropoutMask, KeyMaskIsAFunctionOfThePositionInTheRow) {
  const RowLayout layout({4, 0, 6});
  const at::Tensor mask = dropout_key_mask({1, 2, 3}, layout, 12, 0.3, 5, 9, 2);
  ASSERT_EQ(mask.sizes(), at::IntArrayRef({10, 12}));
  EXPECT_TRUE(at::equal(dropout_key_mask({3}, RowLayout({5}), 12, 0.3, 5, 9, 2), mask.narrow(0, 4, 5)));
}

TEST(DropoutMask, RatesAndErrors) {
  EXPECT_FALSE(dropout_mask(kSamples, 64, 0.0, 5, 9, 2).defined());
  const at::Tensor mask = dropout_mask(std::vector<std::uint64_t>(50, 1), 1000, 0.1, 5, 9, 2);
  EXPECT_TRUE(at::equal(mask[0], mask[49]));
  std::vector<std::uint64_t> samples(200);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = i;
  const double kept = (dropout_mask(samples, 1000, 0.1, 5, 9, 2) > 0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(kept, 0.9, 0.004);  // six deviations
  EXPECT_THROW(dropout_mask(kSamples, 4, 1.0, 5, 9, 2), Error);
  EXPECT_THROW(dropout_mask(kSamples, 4, -0.1, 5, 9, 2), Error);
  EXPECT_THROW(dropout_rows(at::zeros({97, 8}), mask_of(9), ragged()), Error);
  EXPECT_THROW(dropout_rows(at::zeros({96, 8}), mask_of(8), ragged()), Error);
}

TEST(FlushDenormals, ReachesEveryThreadOfThePool) {
#if defined(__SSE2__)
  at::set_num_threads(3);
  flush_denormals();
  std::vector<int> flushed(3, 0);
  at::parallel_for(0, 3, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      flushed[static_cast<std::size_t>(i)] = flushes_denormals() ? 1 : 0;
  });
  EXPECT_THAT(flushed, ::testing::Each(1));
#endif
}

}  // namespace
}  // namespace trimtab
