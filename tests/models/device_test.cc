// SPDX-License-Identifier: Apache-2.0
//
// Everything is where the stage's device is, for every family and method: shown on a device of the tests that
// refuses tensors of the host as a GPU does, and computes the same loss and gradients as the host.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ostream>

#include "models/fake_device.h"
#include "models/golden_case.h"
#include "models/methods/tuning_method.h"
#include "models/ops/host_launcher.h"
#include "parallel/vocab.h"
#include "runtime/solo_communicator.h"
#include "runtime/world.h"

namespace trimtab::test {
namespace {

struct Case {
  std::string golden;
  DType compute;

  // In the names of tests.
  friend void PrintTo(const Case& it, std::ostream* out) { *out << it.golden; }
};

class Device : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<ModelStage> stage(at::Device device = kFakeDevice) {
    StageOptions options{{0, golden_.layers()}};
    options.compute = GetParam().compute;
    options.device = device;
    return golden_.model().make_stage(world_, options);
  }
  static ForwardContext training() {
    return {.training = true, .dropout = 0.1, .seed = 7, .step = 3, .observe = {}};
  }
  // The loss, after the backward pass.
  double train(ModelStage& stage) {
    const MicroBatch batch = golden_.batch(0, 4);
    const at::Tensor loss = stage.loss(stage.forward({}, batch, training()), batch, 1e-4).loss;
    loss.backward();
    return loss.item<double>();
  }
  void decode(ModelStage& stage) {
    const Prefill start = stage.prefill({}, golden_.batch(0, 4), 3);
    at::Tensor ids = start.decoder->first_ids();
    for (int i = 0; i < 3; ++i) ids = start.decoder->most_likely(start.decoder->step(ids));
    EXPECT_TRUE(ids.is_privateuseone());
  }

  GoldenCase golden_{GetParam().golden};
  World world_ = solo_world();
};

TEST_P(Device, HoldsWeightsAndActivations) {
  const auto made = stage();
  for (const auto& weight : made->base_weights()) EXPECT_TRUE(weight.value.is_privateuseone()) << weight.name;
  const MicroBatch batch = golden_.batch(0, 4);
  ForwardContext context = training();
  int seen = 0;
  context.observe = [&](const std::string& name, const at::Tensor& x, const RowLayout&) {
    EXPECT_TRUE(x.is_privateuseone()) << name;
    EXPECT_EQ(x.scalar_type(), GetParam().compute == DType::kBFloat16 ? at::kBFloat16 : at::kFloat) << name;
    ++seen;
  };
  EXPECT_TRUE(made->loss(made->forward({}, batch, context), batch, 1e-4).loss.is_privateuseone());
  EXPECT_GT(seen, 0);
  decode(*made);
}

// Without P-tuning's LSTM, for which LibTorch has kernels of its own on each device.
TEST_P(Device, HoldsWhatIsTrained) {
  for (const char* options :
       {"{name: prompt_tuning, length: 7, init: uniform}", "{name: prompt_tuning, init: class_labels}",
        "name: model_tuning", "{name: p_tuning, length: 5}", "{name: prefix_tuning, length: 3}",
        "{name: prefix_tuning, reparameterisation: mlp}", "{name: lora, dropout: 0.2}", "name: ia3"}) {
    SCOPED_TRACE(options);
    MethodContext context;
    context.labels = {"yes", "no"};
    context.pieces = 20;
    context.encode = [](const std::string&) { return std::vector<std::int32_t>{5, 6}; };
    const auto there = stage(), here = stage(at::kCPU);
    Subtree options_there = Subtree::parse(options, "method"),
            options_here = Subtree::parse(options, "method");
    const auto method_there = make_method(options_there), method_here = make_method(options_here);
    const Parameters parameters = method_there->attach(*there, context),
                     expected = method_here->attach(*here, context);
    // On a device bfloat16 rounds every activation, on the host the weights alone: there only sizes compare.
    const bool exact = GetParam().compute == DType::kFloat32;
    EXPECT_NEAR(train(*there) / train(*here), 1.0, exact ? 1e-5 : 0.03);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Parameter& parameter = parameters[i];
      EXPECT_TRUE(parameter.value().is_privateuseone()) << parameter.name;
      ASSERT_TRUE(parameter.grad().defined()) << parameter.name;
      EXPECT_TRUE(parameter.grad().is_privateuseone()) << parameter.name;
      const double scale = expected[i].grad().abs().max().item<double>();
      const double error = (parameter.grad().cpu() - expected[i].grad()).abs().max().item<double>();
      EXPECT_LE(error, (exact ? 1e-4 : 0.5) * scale + 1e-9) << parameter.name;
    }
    decode(*there);
  }
}

// The attention kernel in place of the composite, with everything trained.
TEST_P(Device, TakesTheAttentionKernel) {
  const auto run = [&](at::Device device) {
    const auto made = stage(device);
    const Parameters parameters = made->trainable_base();
    std::vector<at::Tensor> result = {at::tensor(train(*made))};
    for (const Parameter& parameter : parameters) result.push_back(parameter.grad().cpu());
    return result;
  };
  const std::vector<at::Tensor> expected = run(at::kCPU);
  const UseHostLauncher ours(kFakeDevice.type());
  const std::vector<at::Tensor> is = run(kFakeDevice);
  EXPECT_GT(ours.launches(), 3);
  const bool exact = GetParam().compute == DType::kFloat32;
  EXPECT_LE(relative_error(is[0], expected[0]), exact ? 1e-5 : 0.03);
  for (std::size_t i = 1; i < is.size(); ++i)
    EXPECT_LE(relative_error(is[i], expected[i]), exact ? 1e-4 : 0.5) << i;
}

// Counts its settles, and what the host had waited for when the first one came.
class Settling : public SoloCommunicator {
 public:
  Settling() : SoloCommunicator("tensor") {}
  int settles = 0;
  std::int64_t waits_before = -1;

 private:
  bool takes(DeviceKind) const override { return true; }
  bool has_queued() const override { return true; }
  void do_settle() override {
    if (settles++ == 0) waits_before = fake_device_waits();
  }
};

// A rank that stopped must not hold the host in a read of device memory, which has no deadline.
TEST(DeviceVocabulary, IsSettledBeforeTheHostReadsLogits) {
  const at::Tensor logits = at::randn({3, 8}).to(kFakeDevice);
  const auto expect_settled = [](const auto& ask) {
    Settling tensor;
    const std::int64_t before = fake_device_waits();
    ask(tensor);
    EXPECT_EQ(tensor.settles, 1);
    EXPECT_EQ(tensor.waits_before, before) << "the host waited for the device before";
    EXPECT_GT(fake_device_waits(), before) << "nothing was read";
  };
  expect_settled([&](Communicator& tensor) { vocab_parallel_argmax(logits, 8, tensor); });
  expect_settled([&](Communicator& tensor) {
    vocab_parallel_log_likelihoods(logits, at::tensor({1, 5}, at::kLong), 8, tensor);
  });
}

// The host queues a whole micro-batch, forward and backward, before it asks for the loss.
TEST_P(Device, IsNotWaitedForInsideAStep) {
  const auto expect_no_wait = [&](const char* attention) {
    for (const char* method : {"{name: prompt_tuning, length: 7, init: uniform}", "name: model_tuning",
                               "{name: p_tuning, length: 5}", "{name: prefix_tuning, length: 3}",
                               "{name: lora, dropout: 0.2}", "name: ia3"}) {
      SCOPED_TRACE(fmt::format("{} with {} attention", method, attention));
      const auto made = stage();
      Subtree options = Subtree::parse(method, "method");
      const auto attached = make_method(options);
      const Parameters parameters = attached->attach(*made, {});
      const MicroBatch batch = golden_.batch(0, 4);
      const std::int64_t before = fake_device_waits();
      const at::Tensor loss = made->loss(made->forward({}, batch, training()), batch, 1e-4).loss;
      loss.backward();
      EXPECT_EQ(fake_device_waits(), before);
      loss.item<double>();
      EXPECT_EQ(fake_device_waits(), before + 1) << "waits are not counted";
    }
  };
  expect_no_wait("composed");
  {
    const UsePadding padded(kFakeDevice.type());
    expect_no_wait("padded");
  }
  const UseHostLauncher kernel(kFakeDevice.type());
  expect_no_wait("our kernel's");
}

INSTANTIATE_TEST_SUITE_P(Families, Device,
                         testing::Values(Case{"t5_10", DType::kFloat32}, Case{"t5_11", DType::kFloat32},
                                         Case{"t5_11", DType::kBFloat16},
                                         Case{"llama_scaled", DType::kFloat32},
                                         Case{"qwen2", DType::kBFloat16}, Case{"qwen3", DType::kBFloat16}),
                         [](const auto& test) {
                           return test.param.golden + "_" + std::string(name_of(test.param.compute));
                         });

}  // namespace
}  // namespace trimtab::test
