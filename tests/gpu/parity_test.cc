// SPDX-License-Identifier: Apache-2.0
//
// Every golden case on the device: against what is stored of the reference implementation in float32, against
// the host where dropout is on, and in bfloat16 within what its rounding allows. Each on every path of
// attention.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "gpu/device_under_test.h"
#include "models/golden_case.h"
#include "models/ops/device_attention.h"
#include "runtime/world.h"

namespace trimtab::test {
namespace {

// Sums of a device are in another order than the reference's.
constexpr double kTolerance = 1e-4;
constexpr double kZLoss = 1e-4;

class Parity : public testing::TestWithParam<std::tuple<std::string, AttentionPath>> {
 protected:
  void SetUp() override {
    if (const std::string reason = no_device(); !reason.empty()) GTEST_SKIP() << reason;
    const AttentionPath path = std::get<1>(GetParam());
    use_attention(device_under_test().type(), path,
                  path == AttentionPath::kRagged ? &attention_of_device() : nullptr);
  }
  void TearDown() override { use_attention(device_under_test().type(), AttentionPath::kComposed); }

  std::unique_ptr<ModelStage> stage(at::Device device = device_under_test(),
                                    DType compute = DType::kFloat32) {
    StageOptions options{{0, golden_.layers()}};
    options.compute = compute;
    options.device = device;
    return golden_.model().make_stage(world_, options);
  }
  at::Tensor prompt(at::Device device = device_under_test()) const {
    return golden_.stored("prompt").to(device).set_requires_grad(true);
  }
  struct Outcome {
    double loss;
    at::Tensor gradient;
  };
  Outcome train(ModelStage& stage, const ForwardContext& context) const {
    const at::Tensor rows = prompt(stage.device());
    FixedPrompt adapter(rows);
    stage.attach_input(&adapter);
    const MicroBatch batch = golden_.batch();
    const LossSums sums = stage.loss(stage.forward({}, batch, context), batch, kZLoss);
    sums.loss.backward();
    stage.attach_input(nullptr);
    return {sums.loss.item<double>(), rows.grad().cpu()};
  }

  GoldenCase golden_{std::get<0>(GetParam())};
  World world_ = solo_world();
};

TEST_P(Parity, EveryLayerAndTheLogits) {
  const auto made = stage();
  FixedPrompt adapter(prompt());
  made->attach_input(&adapter);
  ForwardContext context;
  int seen = 0;
  context.observe = [&](const std::string& name, const at::Tensor& x, const RowLayout&) {
    EXPECT_EQ(x.device(), device_under_test()) << name;
    EXPECT_LT(relative_error(x.cpu(), golden_.stored(name)), kTolerance) << name;
    ++seen;
  };
  const StageIO out = made->forward({}, golden_.batch(), context);
  EXPECT_GT(seen, golden_.layers());
  EXPECT_LT(relative_error(made->logits(out).cpu(), golden_.stored("logits")), kTolerance);
}

TEST_P(Parity, LossAndPromptGradient) {
  const Outcome is = train(*stage(), {});
  EXPECT_LT(std::abs(is.loss / golden_.stored("loss").item<double>() - 1), kTolerance);
  EXPECT_LT(relative_error(is.gradient, golden_.stored("prompt.grad")), kTolerance);
}

TEST_P(Parity, EveryWeightsGradientInModelTuning) {
  const auto made = stage();
  const Parameters parameters = made->trainable_base();
  const LossSums sums = made->loss(made->forward({}, golden_.batch(), {}), golden_.batch(), kZLoss);
  EXPECT_LT(relative_error(sums.loss.cpu(), golden_.stored("full.loss")), kTolerance);
  sums.loss.backward();
  for (const Parameter& parameter : parameters) {
    ASSERT_TRUE(parameter.grad().defined()) << parameter.name;
    EXPECT_LT(relative_error(parameter.grad().cpu(), golden_.stored("full.grad." + parameter.name)),
              kTolerance)
        << parameter.name;
  }
}

TEST_P(Parity, GreedyDecoding) {
  const auto made = stage();
  FixedPrompt adapter(golden_.stored("prompt").to(device_under_test()));
  made->attach_input(&adapter);
  EXPECT_EQ(made->generate(golden_.batch(), 12), golden_.generated());
}

// The masks are the host's, so that the device trains what the host trains.
TEST_P(Parity, DropoutIsThatOfTheHost) {
  const ForwardContext context{.training = true, .dropout = 0.1, .seed = 7, .step = 3, .observe = {}};
  const Outcome expected = train(*stage(at::kCPU), context);
  const Outcome is = train(*stage(), context);
  EXPECT_GT(std::abs(is.loss - golden_.stored("loss").item<double>()), 1e-3) << "dropout had no effect";
  EXPECT_LT(std::abs(is.loss / expected.loss - 1), kTolerance);
  EXPECT_LT(relative_error(is.gradient, expected.gradient), kTolerance);
}

TEST_P(Parity, BFloat16IsNear) {
  const Outcome is = train(*stage(device_under_test(), DType::kBFloat16), {});
  EXPECT_LT(std::abs(is.loss / golden_.stored("loss").item<double>() - 1), 0.03);
  const at::Tensor expected = golden_.stored("prompt.grad");
  const double along =
      (is.gradient * expected).sum().item<double>() / (is.gradient.norm() * expected.norm()).item<double>();
  EXPECT_GT(along, 0.97) << "cosine of the gradients";
}

std::string name_of_case(const testing::TestParamInfo<std::tuple<std::string, AttentionPath>>& test) {
  constexpr const char* kNames[] = {"_padded", "_composed", "_ragged"};
  return std::get<0>(test.param) + kNames[static_cast<int>(std::get<1>(test.param))];
}

INSTANTIATE_TEST_SUITE_P(Golden, Parity,
                         testing::Combine(testing::ValuesIn(golden_cases()),
                                          testing::Values(AttentionPath::kPadded, AttentionPath::kComposed,
                                                          AttentionPath::kRagged)),
                         name_of_case);

}  // namespace
}  // namespace trimtab::test
