// SPDX-License-Identifier: Apache-2.0
#include "models/ops/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace trimtab::detail {
namespace {

// Every set of kernels that this processor runs, the baseline first.
std::vector<const Kernels*> sets() {
  int count = 0;
  const Kernels* const* first = all_kernels(&count);
  return {first, first + count};
}

std::vector<float> waves(std::size_t count, float step, float scale) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = scale * std::sin(step * static_cast<float>(i) + 0.3f);
  return values;
}

TEST(Kernels, TheBestIsTheLast) {
  ASSERT_FALSE(sets().empty());
  EXPECT_EQ(std::string(sets().front()->name), "generic");
  EXPECT_EQ(&kernels(), sets().back());
}

TEST(Kernels, ExponentialIsWithin1e6OverItsRange) {
  std::vector<float> x;
  for (double value = -87.0; value <= 88.3; value += 0.00173) x.push_back(static_cast<float>(value));
  for (const float value : {0.0f, -0.0f, 1e-30f, -1e-8f, 0.34657359f, -0.34657359f}) x.push_back(value);
  std::vector<float> y(x.size());
  for (const Kernels* set : sets()) {
    set->exponential(x.data(), static_cast<std::int64_t>(x.size()), y.data());
    double worst = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp(static_cast<double>(x[i]));
      worst = std::max(worst, std::abs(y[i] - expected) / expected);
    }
    EXPECT_LE(worst, 2.5e-7) << set->name;
    EXPECT_EQ(y[x.size() - 6], 1.0f) << set->name;
  }
}

TEST(Kernels, ExponentialOutsideItsRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {-kInfinity, -1000.0f, 1000.0f, kInfinity, std::nanf("")};
  std::vector<float> y(x.size());
  for (const Kernels* set : sets()) {
    set->exponential(x.data(), static_cast<std::int64_t>(x.size()), y.data());
    EXPECT_LE(y[0], 2e-38f) << set->name;
    EXPECT_LE(y[1], 2e-38f) << set->name;
    EXPECT_GE(y[2], 1e38f) << set->name;
    EXPECT_GE(y[3], 1e38f) << set->name;
    EXPECT_TRUE(std::isnan(y[4])) << set->name;
  }
}

// The sets differ in width and in fused multiply-adds only. 37 and 5 leave a part of a vector in every set.
TEST(Kernels, SetsAgree) {
  constexpr std::int64_t kTokens = 3;
  for (const std::int64_t width : {std::int64_t{5}, std::int64_t{37}, std::int64_t{128}}) {
    const auto count = static_cast<std::size_t>(kTokens * width);
    const std::vector<float> x = waves(2 * count, 0.37f, 3.0f);
    const std::vector<float> dy = waves(count, 0.91f, 1.0f);
    const std::vector<float> mask = waves(static_cast<std::size_t>(width), 0.21f, 1.0f);
    auto run = [&](const Kernels& set) {
      std::vector<float> out(14 * count + 2 * kTokens);
      float* to = out.data();
      float* rstd = to + 10 * count;
      set.rms_norm(x.data(), mask.data(), 1e-6f, kTokens, width, to, rstd);
      set.rms_norm_backward(dy.data(), x.data(), mask.data(), rstd, kTokens, width, to + count);
      set.gated_gelu(x.data(), mask.data(), kTokens, width, to + 2 * count);
      set.gated_gelu_backward(dy.data(), x.data(), mask.data(), kTokens, width, to + 3 * count);
      set.relu(x.data(), mask.data(), kTokens, width, to + 5 * count);
      set.relu_backward(dy.data(), x.data(), mask.data(), kTokens, width, to + 6 * count);
      set.add_scaled(x.data(), dy.data(), mask.data(), kTokens, width, to + 7 * count);
      set.scale(x.data(), mask.data(), kTokens, width, to + 8 * count);
      set.rms_norm_weight_gradient(dy.data(), x.data(), rstd, kTokens, width, 1, width, to + 9 * count);
      set.dot_rows(x.data(), width, dy.data(), width, kTokens, width, rstd + kTokens);
      set.gated_silu(x.data(), mask.data(), kTokens, width, rstd + 2 * kTokens);
      set.gated_silu_backward(dy.data(), x.data(), mask.data(), kTokens, width, rstd + 2 * kTokens + count);
      const Rotation rotation = {dy.data(), mask.data(), width / 3, 0.5f, false, true};
      set.rotate(rotation, x.data(), width, 1, rstd + 2 * kTokens + 3 * count, width);
      return out;
    };
    const std::vector<float> expected = run(*sets().front());
    for (const Kernels* set : sets()) {
      const std::vector<float> is = run(*set);
      for (std::size_t i = 0; i < is.size(); ++i)
        ASSERT_NEAR(is[i], expected[i], 4e-6 * std::max(1.0f, std::abs(expected[i])))
            << set->name << " width " << width << " element " << i;
    }
  }
}

// Two queries that see 4 and 5 of 5 keys; the last column is outside the block.
TEST(Kernels, SoftmaxSeesBiasMaskAndCausality) {
  const std::vector<float> bias = {0.5f, -1.0f, 0.25f, 0.75f, 0.0f, 2.0f};  // bias[1 + k - i]
  const std::vector<float> mask = {1.0f, 0.0f, 2.0f, 1.0f, 1.0f};
  for (const Kernels* set : sets()) {
    std::vector<float> scores = {1, 2, 3, 4, 5, -7, 1, -1, 0.5, 2, 3, -7};
    const std::vector<float> raw = scores;
    const ScoreBlock block = {2, 5, 6, true, 4, bias.data() + 1, mask.data()};
    float log_sum[2];
    float inverse[2];
    set->softmax(block, scores.data(), log_sum, inverse);
    for (int i = 0; i < 2; ++i) {
      double sum = 0.0;
      for (int k = 0; k < 4 + i; ++k) sum += std::exp(static_cast<double>(raw[6 * i + k] + bias[1 + k - i]));
      EXPECT_NEAR(log_sum[i], std::log(sum), 1e-6) << set->name;
      for (int k = 0; k < 5; ++k) {
        const double weight = k < 4 + i ? std::exp(raw[6 * i + k] + bias[1 + k - i]) / sum * mask[k] : 0.0;
        EXPECT_NEAR(scores[6 * i + k] * inverse[i], weight, 1e-6) << set->name << " " << i << " " << k;
      }
      EXPECT_EQ(scores[6 * i + 5], -7.0f);
    }
  }
}

TEST(Kernels, SoftmaxOfLargeScores) {
  for (const Kernels* set : sets()) {
    std::vector<float> scores = {1e4f, 1e4f, -1e4f};
    const ScoreBlock block = {1, 3, 3, false, 0, nullptr, nullptr};
    float log_sum = 0;
    float inverse = 0;
    set->softmax(block, scores.data(), &log_sum, &inverse);
    EXPECT_FLOAT_EQ(scores[0] * inverse, 0.5f);
    EXPECT_FLOAT_EQ(scores[1] * inverse, 0.5f);
    EXPECT_LE(scores[2], 2e-38f);
    EXPECT_NEAR(log_sum, 1e4 + std::log(2.0), 1e-2);
  }
}

}  // namespace
}  // namespace trimtab::detail
