// SPDX-License-Identifier: Apache-2.0
//
// Fifty steps of each optimizer against references in double that follow the published update rules line by
// line, with plain loops and no code in common; and a parameter cut into slices against the whole one.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "parallel/optimizer.h"
#include "parallel/optimizer_fixture.h"

namespace trimtab {
namespace {

using Values = std::vector<double>;

Values doubles(const at::Tensor& tensor) {
  const std::vector<float> floats = values_of(tensor);
  return {floats.begin(), floats.end()};
}

// Relative where a value has grown beyond 1.
double largest_difference(const Values& expected, const at::Tensor& actual) {
  const Values values = doubles(actual);
  double largest = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    largest = std::max(largest, std::abs(expected[i] - values[i]) / std::max(1.0, std::abs(expected[i])));
  return largest;
}

// Gradients that drift and differ in size from row to row, as those of a prompt do.
at::Tensor gradient_at(const std::vector<std::int64_t>& shape, int step) {
  at::Tensor gradient = random_values(shape, 1000 + static_cast<std::uint64_t>(step), 1.0) + 0.3;
  return gradient * at::arange(1, shape[0] + 1, at::kFloat).view({-1, 1}) * (step % 7 == 3 ? 20.0 : 0.01);
}

struct AdafactorReference {
  std::size_t rows, columns;
  bool factored, scaling;
  std::int64_t start;
  Values p;
  Values v = {}, v_row = {}, v_col = {};

  void step(const Values& g, int index, double rate) {
    const double beta = 1.0 - std::pow(static_cast<double>(index + start + 1), -0.8);
    Values y(g.size());
    if (factored) {
      v_row.resize(rows), v_col.resize(columns);
      Values row_mean(rows), col_mean(columns);
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j) {
          const double s = g[i * columns + j] * g[i * columns + j] + 1e-30;
          row_mean[i] += s / static_cast<double>(columns);
          col_mean[j] += s / static_cast<double>(rows);
        }
      double mean = 0.0;
      for (std::size_t i = 0; i < rows; ++i) {
        v_row[i] = beta * v_row[i] + (1 - beta) * row_mean[i];
        mean += v_row[i] / static_cast<double>(rows);
      }
      for (std::size_t j = 0; j < columns; ++j) v_col[j] = beta * v_col[j] + (1 - beta) * col_mean[j];
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j)
          y[i * columns + j] =
              g[i * columns + j] * std::pow(v_row[i] / mean, -0.5) * std::pow(v_col[j], -0.5);
    } else {
      v.resize(g.size());
      for (std::size_t i = 0; i < g.size(); ++i) {
        v[i] = beta * v[i] + (1 - beta) * (g[i] * g[i] + 1e-30);
        y[i] = g[i] * std::pow(v[i], -0.5);
      }
    }
    double squares = 0.0, size = 0.0;
    for (std::size_t i = 0; i < g.size(); ++i) squares += y[i] * y[i], size += p[i] * p[i];
    const double denominator = std::max(1.0, std::sqrt(squares / static_cast<double>(g.size())));
    const double scale = scaling ? std::max(1e-3, std::sqrt(size / static_cast<double>(g.size()))) : 1.0;
    for (std::size_t i = 0; i < g.size(); ++i) p[i] = (1 - 1e-5) * p[i] - rate * scale * y[i] / denominator;
  }
};

struct AdafactorCase {
  std::vector<std::int64_t> shape;
  bool scaling;
  std::int64_t start;
};

class AdafactorTrajectory : public ::testing::TestWithParam<AdafactorCase> {};

TEST_P(AdafactorTrajectory, MatchesTheReferenceInDouble) {
  const auto& [shape, scaling, start] = GetParam();
  OptimizerConfig config;
  config.parameter_scaling = scaling;
  config.start_step = start;
  const Parameter parameter = random_parameter("p", shape, 1);
  AdafactorReference reference{static_cast<std::size_t>(shape[0]),
                               static_cast<std::size_t>(shape[1]),
                               std::min(shape[0], shape[1]) >= 128,
                               scaling,
                               start,
                               doubles(parameter.value())};
  const auto optimizer = make_optimizer(config);
  std::int64_t clipped = 0;
  for (int step = 0; step < 50; ++step) {
    const at::Tensor gradient = gradient_at(shape, step);
    set_gradient(parameter, gradient);
    clipped += optimizer->step({parameter}, 0.3).clipped;
    reference.step(doubles(gradient), step, 0.3);
  }
  EXPECT_GT(clipped, 0);
  EXPECT_LT(clipped, start > 0 ? 51 : 50);
  EXPECT_LT(largest_difference(reference.p, parameter.value()), 5e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Prompts, AdafactorTrajectory,
    ::testing::Values(AdafactorCase{{100, 768}, false, 0}, AdafactorCase{{150, 768}, false, 0},
                      AdafactorCase{{150, 768}, true, 0}, AdafactorCase{{100, 768}, true, 0},
                      AdafactorCase{{100, 768}, false, 1100000}, AdafactorCase{{200, 131}, false, 1100000}));

TEST(AdamWTrajectory, MatchesTheReferenceInDouble) {
  OptimizerConfig config = named("adamw");
  config.weight_decay = 0.01;
  config.beta2 = 0.99;
  const std::vector<std::int64_t> shape = {20, 33};
  const Parameter parameter = random_parameter("p", shape, 1);
  Values p = doubles(parameter.value()), m(p.size()), v(p.size());
  const auto optimizer = make_optimizer(config);
  for (int step = 1; step <= 50; ++step) {
    const at::Tensor gradient = gradient_at(shape, step);
    set_gradient(parameter, gradient);
    const StepStats stats = optimizer->step({parameter}, 0.02);
    const Values g = doubles(gradient);
    double squares = 0.0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.99 * v[i] + 0.01 * g[i] * g[i];
      const double u =
          m[i] / (1 - std::pow(0.9, step)) / (std::sqrt(v[i] / (1 - std::pow(0.99, step))) + 1e-8);
      p[i] -= 0.02 * 0.01 * p[i];
      p[i] -= 0.02 * u;
      squares += u * u;
    }
    EXPECT_NEAR(stats.parameters[0].update_rms, std::sqrt(squares / static_cast<double>(p.size())), 1e-5);
  }
  EXPECT_LT(largest_difference(p, parameter.value()), 2e-6);
}

TEST(SgdTrajectory, MatchesTheReferenceInDouble) {
  OptimizerConfig config = named("sgd");
  config.momentum = 0.9;
  config.weight_decay = 0.01;
  const std::vector<std::int64_t> shape = {20, 33};
  const Parameter parameter = random_parameter("p", shape, 1);
  Values p = doubles(parameter.value()), m(p.size());
  const auto optimizer = make_optimizer(config);
  for (int step = 0; step < 50; ++step) {
    const at::Tensor gradient = random_values(shape, 50 + static_cast<std::uint64_t>(step), 1.0);
    set_gradient(parameter, gradient);
    optimizer->step({parameter}, 0.02);
    const Values g = doubles(gradient);
    for (std::size_t i = 0; i < p.size(); ++i) {
      m[i] = 0.9 * m[i] + g[i];
      p[i] = (1 - 0.02 * 0.01) * p[i] - 0.02 * m[i];
    }
  }
  EXPECT_LT(largest_difference(p, parameter.value()), 2e-6);
}

// One of two ranks whose slices, cut along `dim`, are equal: what the other rank adds is then known.
class EqualHalves : public SliceSums {
 public:
  explicit EqualHalves(int dim) : dim_(dim) {}
  void combine(std::span<PartialSum> sums) override {
    for (PartialSum& sum : sums) {
      const bool cut = sum.over == SumOver::kAll || (dim_ == 0) == (sum.over != SumOver::kColumns);
      if (cut)
        for (double& value : sum.values) value *= 2.0;
    }
  }

 private:
  int dim_;
};

TEST(SlicedOptimizer, StepsAsTheWholeDoes) {
  for (const int dim : {0, 1}) {
    for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{80, 140}, {140, 70}, {40, 30}}) {
      OptimizerConfig config;
      config.parameter_scaling = true;
      config.global_norm_clip = 5.0;
      EqualHalves halves(dim);
      Parameter slice = random_parameter("p", shape, 1);
      slice.cut = {dim, 2 * shape[static_cast<std::size_t>(dim)]};
      const Parameter whole{"p", at::cat({slice.leaf, slice.leaf}, dim)};
      const auto of_slice = make_optimizer(config, &halves);
      const auto of_whole = make_optimizer(config);
      for (int step = 0; step < 5; ++step) {
        const at::Tensor gradient = gradient_at(shape, step);
        set_gradient(slice, gradient);
        set_gradient(whole, at::cat({gradient, gradient}, dim));
        const StepStats sliced = of_slice->step({slice}, 0.3);
        const StepStats complete = of_whole->step({whole}, 0.3);
        EXPECT_NEAR(sliced.gradient_scale, complete.gradient_scale, 1e-9);
        EXPECT_NEAR(sliced.parameters[0].update_rms, complete.parameters[0].update_rms, 1e-5);
      }
      const at::Tensor part = whole.leaf.narrow(dim, 0, shape[static_cast<std::size_t>(dim)]);
      EXPECT_LT((part - slice.leaf).abs().max().item<double>(), 1e-5) << dim << " " << slice.leaf.sizes();
    }
  }
}

}  // namespace
}  // namespace trimtab
