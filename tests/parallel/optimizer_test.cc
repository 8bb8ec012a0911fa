// SPDX-License-Identifier: Apache-2.0
//
// Known answers, state and configuration of the optimizers; optimizer_reference_test.cc compares whole
// trajectories.
#include "parallel/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "parallel/adafactor.h"
#include "parallel/optimizer_fixture.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Adafactor, FirstStepIsTheSignOfTheGradient) {
  const Parameter prompt = random_parameter("prompt", {100, 768}, 1);
  const at::Tensor before = prompt.value().clone();
  const at::Tensor gradient = random_values({100, 768}, 2, 1e-3);
  set_gradient(prompt, gradient);
  const StepStats stats = make_optimizer({})->step({prompt}, 0.3);
  const at::Tensor expected = 0.99999 * before.to(at::kDouble) - 0.3 * gradient.sign().to(at::kDouble);
  EXPECT_LT((prompt.value().to(at::kDouble) - expected).abs().max().item<double>(), 3e-7);
  ASSERT_EQ(stats.parameters.size(), 1u);
  EXPECT_EQ(stats.parameters[0].name, "prompt");
  EXPECT_NEAR(stats.parameters[0].update_rms, 1.0, 1e-6);
  EXPECT_NEAR(stats.parameters[0].clip, 1.0, 1e-6);
}

TEST(Adafactor, DecayOfTheSecondMoment) {
  EXPECT_EQ(Adafactor::beta2(0, 0.8), 0.0);
  EXPECT_NEAR(Adafactor::beta2(1, 0.8), 0.42565, 5e-6);
  EXPECT_NEAR(Adafactor::beta2(100, 0.8), 0.97508, 5e-6);
  EXPECT_NEAR(Adafactor::beta2(1000, 0.8), 0.99602, 5e-6);
  EXPECT_NEAR(Adafactor::beta2(10000, 0.8), 0.99937, 5e-6);
  EXPECT_NEAR(Adafactor::mixing_rate(1100000, 0.8), 1.4685e-5, 1e-9);
}

TEST(Adafactor, CounterOfPreTrainingWithFreshMomentsIsHeldByTheClip) {
  OptimizerConfig config;
  config.start_step = 1100000;
  const Parameter prompt = random_parameter("prompt", {100, 768}, 1);
  const at::Tensor before = prompt.value().clone();
  const at::Tensor gradient = random_values({100, 768}, 2, 1e-3);
  set_gradient(prompt, gradient);
  const StepStats stats = make_optimizer(config)->step({prompt}, 0.3);
  EXPECT_NEAR(stats.parameters[0].update_rms, 260.95, 0.01);
  EXPECT_EQ(stats.parameters[0].clip, stats.parameters[0].update_rms);
  EXPECT_EQ(stats.clipped, 1);
  const at::Tensor moved = 0.99999 * before.to(at::kDouble) - prompt.value().to(at::kDouble);
  EXPECT_LT((moved - 0.3 * gradient.sign().to(at::kDouble)).abs().max().item<double>(), 1e-6);
}

TEST(Adafactor, FactorsMatricesOfTwoLargeDimsOnly) {
  const auto names = [](std::vector<std::int64_t> shape, std::int64_t least) {
    OptimizerConfig config;
    config.min_dim_size_to_factor = least;
    std::vector<std::string> found;
    for (const auto& [name, tensor, cut] :
         make_optimizer(config)->state({random_parameter("p", shape, 1)}).tensors)
      found.push_back(fmt::format("{}:{}", name, tensor.numel()));
    return found;
  };
  EXPECT_THAT(names({127, 768}, 128), ElementsAre("p/v:97536"));
  EXPECT_THAT(names({768, 127}, 128), ElementsAre("p/v:97536"));
  EXPECT_THAT(names({128, 768}, 128), ElementsAre("p/v_col:768", "p/v_row:128"));
  EXPECT_THAT(names({768}, 128), ElementsAre("p/v:768"));
  EXPECT_THAT(names({100, 768}, 64), ElementsAre("p/v_col:768", "p/v_row:100"));
}

TEST(Adafactor, ParameterScalingHasALeastScale) {
  OptimizerConfig config;
  config.parameter_scaling = true;
  config.weight_decay = 0.0;
  const auto moved_by = [&](double value) {
    const Parameter parameter{"p", at::full({4, 4}, value, at::kFloat)};
    set_gradient(parameter, at::ones({4, 4}));
    make_optimizer(config)->step({parameter}, 0.1);
    return value - parameter.value()[0][0].item<double>();
  };
  EXPECT_NEAR(moved_by(2.0), 0.2, 1e-6);
  EXPECT_NEAR(moved_by(0.0), 1e-4, 1e-9);
}

TEST(Adafactor, ZeroGradientsMoveNothingButTheDecay) {
  const Parameter prompt{"p", at::ones({130, 130})};
  const StepStats stats = make_optimizer({})->step({prompt}, 0.3);
  EXPECT_EQ(stats.parameters[0].update_rms, 0.0);
  EXPECT_TRUE(at::equal(prompt.value(), at::full({130, 130}, 0.99999f)));
}

TEST(Optimizer, StepsOnlyTheRowsOfAStackedLeaf) {
  const at::Tensor leaf = at::ones({4, 3});
  leaf.mutable_grad() = at::ones({4, 3});
  OptimizerConfig config = named("sgd");
  config.weight_decay = 0.0;
  make_optimizer(config)->step({Parameter{"middle", leaf, 1, 2}}, 0.5);
  EXPECT_THAT(values_of(leaf.select(1, 0)), ElementsAre(1.0f, 0.5f, 0.5f, 1.0f));
}

TEST(Optimizer, GlobalNormClipScalesAllGradientsAlike) {
  OptimizerConfig config = named("sgd");
  config.weight_decay = 0.0;
  config.global_norm_clip = 1.0;
  const Parameter a{"a", at::zeros({1})}, b{"b", at::zeros({2, 1})};
  set_gradient(a, at::full({1}, 3.0));
  set_gradient(b, at::full({2, 1}, std::sqrt(8.0)));
  const auto optimizer = make_optimizer(config);
  EXPECT_NEAR(optimizer->step({a, b}, 1.0).gradient_scale, 0.2, 1e-7);
  EXPECT_NEAR(a.value().item<double>(), -0.6, 1e-6);
  EXPECT_NEAR(b.value()[1].item<double>(), -0.2 * std::sqrt(8.0), 1e-6);
  set_gradient(a, at::full({1}, 0.5));
  set_gradient(b, at::zeros({2, 1}));
  EXPECT_EQ(optimizer->step({a, b}, 1.0).gradient_scale, 1.0);
}

// A bfloat16 parameter cannot hold these steps one by one; its master copy adds them up.
TEST(Optimizer, BFloat16HasAMasterCopy) {
  OptimizerConfig config = named("sgd");
  config.weight_decay = 0.0;
  const Parameter parameter{"p", at::ones({3}, at::kBFloat16)};
  const auto optimizer = make_optimizer(config);
  for (int step = 0; step < 8; ++step) {
    set_gradient(parameter, at::ones({3}, at::kBFloat16));
    optimizer->step({parameter}, 0x1p-10);
  }
  EXPECT_EQ(parameter.value()[0].item<double>(), 1.0 - 0x1p-7);
  OptimizerState state = optimizer->state({parameter});
  ASSERT_EQ(state.tensors.size(), 1u);
  EXPECT_EQ(state.tensors[0].name, "p/master");
  const Parameter other{"p", at::zeros({3}, at::kBFloat16)};
  make_optimizer(config)->load_state({other}, state);
  EXPECT_TRUE(at::equal(other.value(), parameter.value()));
}

TEST(Optimizer, ResumesBitForBit) {
  for (const char* name : {"adafactor", "adamw", "sgd"}) {
    OptimizerConfig config = named(name);
    if (config.name == "sgd") config.momentum = 0.9;
    const Parameters straight = {random_parameter("a", {150, 200}, 1), random_parameter("b", {7}, 2),
                                 random_parameter("c", {5, 6}, 3, at::kBFloat16)};
    Parameters resumed;
    const auto first = make_optimizer(config);
    auto second = make_optimizer(config);
    for (int step = 0; step < 6; ++step) {
      if (step == 3) {
        for (const Parameter& p : straight) resumed.push_back({p.name, p.leaf.clone()});
        second->load_state(resumed, first->state(straight));
        EXPECT_EQ(second->steps_made(), 3);
      }
      for (std::size_t i = 0; i < straight.size(); ++i) {
        const at::Tensor gradient = random_values(straight[i].leaf.sizes().vec(), 100 * step + i, 1.0)
                                        .to(straight[i].leaf.scalar_type());
        set_gradient(straight[i], gradient);
        if (step >= 3) set_gradient(resumed[i], gradient);
      }
      first->step(straight, 0.01);
      if (step >= 3) second->step(resumed, 0.01);
    }
    for (std::size_t i = 0; i < straight.size(); ++i)
      EXPECT_TRUE(at::equal(straight[i].leaf, resumed[i].leaf)) << name << " " << straight[i].name;
  }
}

TEST(Optimizer, StateIsACopy) {
  const Parameter parameter = random_parameter("p", {4}, 1);
  const auto optimizer = make_optimizer({});
  const OptimizerState state = optimizer->state({parameter});
  set_gradient(parameter, at::ones({4}));
  optimizer->step({parameter}, 0.3);
  EXPECT_EQ(state.tensors[0].value.sum().item<double>(), 0.0);
  EXPECT_EQ(state.step, 0);
}

TEST(Optimizer, RefusesStateThatDoesNotFitAndKeepsItsOwn) {
  const Parameter parameter = random_parameter("p", {4, 5}, 1);
  const auto optimizer = make_optimizer(named("adamw"));
  OptimizerState state;
  state.step = 7;
  state.tensors = {{"p/m", at::zeros({5, 4})}, {"q/v", at::zeros({4, 5})}};
  EXPECT_THAT([&] { optimizer->load_state({parameter}, state); },
              ThrowsMessage<Error>(AllOf(HasSubstr("optimizer state of adamw does not fit"),
                                         HasSubstr("p/m is Float [5, 4], not float32 [4, 5]"),
                                         HasSubstr("p/v is missing"), HasSubstr("q/v is not known"))));
  EXPECT_EQ(optimizer->steps_made(), 0);
}

TEST(Optimizer, RefusesAParameterOfAnotherShape) {
  const auto optimizer = make_optimizer({});
  optimizer->step({random_parameter("p", {4, 5}, 1)}, 0.1);
  EXPECT_THAT(
      [&] {
        optimizer->step({random_parameter("p", {5, 4}, 1)}, 0.1);
      },
      ThrowsMessage<Error>(HasSubstr("parameter p of shape [5, 4] does not fit the state")));
}

TEST(Optimizer, DoesNotDependOnTheNumberOfThreads) {
  std::vector<at::Tensor> results;
  const int before = at::get_num_threads();
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    const Parameters parameters = {random_parameter("a", {300, 501}, 1),
                                   random_parameter("b", {100, 768}, 2)};
    const auto optimizer = make_optimizer({});
    for (int step = 0; step < 3; ++step) {
      for (std::size_t i = 0; i < 2; ++i)
        set_gradient(parameters[i], random_values(parameters[i].leaf.sizes().vec(), 10 * step + i, 1.0));
      optimizer->step(parameters, 0.3);
    }
    results.push_back(at::cat({parameters[0].leaf.flatten(), parameters[1].leaf.flatten()}));
  }
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(results[0], results[1]));
}

struct BadConfig {
  void (*change)(OptimizerConfig&);
  const char* message;
};

TEST(OptimizerConfig, SaysWhichKeyIsWrong) {
  const BadConfig cases[] = {
      {[](OptimizerConfig& c) { c.name = "adam"; },
       "optimizer.name: 'adam' is not known: use one of adafactor, adamw, sgd"},
      {[](OptimizerConfig& c) { c.schedule = "cosine"; }, "optimizer.schedule: 'cosine' is not known"},
      {[](OptimizerConfig& c) { c.learning_rate = 0; }, "optimizer.learning_rate: 0 is not a number > 0"},
      {[](OptimizerConfig& c) { c.learning_rate = NAN; }, "optimizer.learning_rate: nan is not a number > 0"},
      {[](OptimizerConfig& c) { c.weight_decay = 1; }, "optimizer.weight_decay: 1 is not in [0, 1)"},
      {[](OptimizerConfig& c) { c.start_step = -1; }, "optimizer.start_step: -1 is not >= 0"},
      {[](OptimizerConfig& c) { c.min_dim_size_to_factor = 0; },
       "optimizer.min_dim_size_to_factor: 0 is not >= 1"},
      {[](OptimizerConfig& c) { c.beta1 = 0.5; },
       "optimizer.beta1: only adamw uses it, but optimizer.name is adafactor"},
      {[](OptimizerConfig& c) { c.name = "adamw", c.parameter_scaling = true; },
       "optimizer.parameter_scaling: only adafactor uses it, but optimizer.name is adamw"}};
  for (const BadConfig& bad : cases) {
    OptimizerConfig config;
    bad.change(config);
    EXPECT_THAT([&] { check(config); }, ThrowsMessage<ConfigError>(HasSubstr(bad.message)));
    EXPECT_THROW(make_optimizer(config), ConfigError);
  }
  EXPECT_NO_THROW(check({}));
}

}  // namespace
}  // namespace trimtab
