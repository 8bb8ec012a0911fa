// SPDX-License-Identifier: Apache-2.0
//
// Every tuning method on every family and mesh: the gradients are those of one rank and of finite
// differences, the base stays as it is, decoding computes what the forward pass does, and a method does
// nothing before the first step where it promises that.
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <set>

#include "models/golden_case.h"
#include "models/mesh_case.h"
#include "models/method_variants.h"
#include "models/methods/initial_values.h"
#include "models/methods/tuning_method.h"
#include "models/model_pass.h"
#include "parallel/gradient_sync.h"
#include "parallel/pipeline.h"
#include "parallel/shared_by_stages.h"
#include "runtime/random.h"

namespace trimtab::test {
namespace {

constexpr double kTolerance = 2e-5;
constexpr double kZLoss = 1e-4;

MethodContext method_context(const Variant& variant = {}) {
  MethodContext context;
  context.pieces = 20;
  context.encode = [](const std::string&) { return std::vector<std::int32_t>{5}; };
  context.seed = 11;
  context.places = variant.places;
  return context;
}

// A method attached to this rank's stage.
struct Attached {
  Attached(const GoldenCase& golden, const Layout& layout, const Variant& variant, World& world)
      : stage(stage_of(golden, layout, world)) {
    Subtree options = Subtree::parse(fitted(variant, *stage), "method");
    method = make_method(options);
    parameters = method->attach(*stage, method_context(variant));
  }

  // Away from the initial values, at which many gradients are zero: the same on every mesh.
  void disturb(double by) {
    const c10::NoGradGuard no_grad;
    for (const Parameter& parameter : parameters) parameter.value().add_(noise_like(parameter), by);
  }
  at::Tensor noise_like(const Parameter& parameter) const {
    at::Tensor noise = at::empty(whole_shape(parameter), at::kFloat);
    fill_normal(RandomStream(5, Purpose::kTest, number_of(parameter.name)), 0,
                static_cast<std::size_t>(noise.numel()), noise.data_ptr<float>());
    return slab_of(noise, parameter.cut, stage->tensor_ranks());
  }

  std::unique_ptr<ModelStage> stage;
  std::unique_ptr<TuningMethod> method;
  Parameters parameters;
};

ForwardContext training(double dropout) {
  return {.training = true, .dropout = dropout, .seed = 7, .step = 3, .observe = {}};
}

StepTotals train(Attached& attached, const GoldenCase& golden, const Layout& layout, World& world,
                 double dropout) {
  Communicator& pipe = world.along(Axis::kPipe);
  Pipeline pipeline(pipe, {layout.schedule, !attached.parameters.empty(), attached.stage->decodes()});
  ModelPass pass(*attached.stage, training(dropout), kZLoss);
  const PassTotals totals =
      pipeline.train(pass, micro_batches(golden, world.mesh().size(Axis::kData), world.here().data));
  SharedByStages(attached.parameters, pipe).sum(attached.parameters);
  return GradientSync(world.along(Axis::kData)).reduce(attached.parameters, totals.loss, totals.tokens);
}

// Loss summed over tokens, on one rank and without dropout.
double loss_of(ModelStage& stage, const MicroBatch& batch) {
  const c10::NoGradGuard no_grad;
  return stage.loss(stage.forward({}, batch, {}), batch, kZLoss).loss.item<double>();
}

std::vector<at::Tensor> base_of(const ModelStage& stage) {
  std::vector<at::Tensor> out;
  for (const auto& weight : stage.base_weights()) out.push_back(weight.value.clone());
  return out;
}

void expect_same_base(const ModelStage& stage, const std::vector<at::Tensor>& before) {
  for (std::size_t i = 0; const auto& weight : stage.base_weights()) {
    EXPECT_FALSE(weight.value.requires_grad() || weight.value.grad().defined()) << weight.name;
    EXPECT_TRUE(weight.value.equal(before[i++])) << weight.name;
  }
}

const Layout& one_rank() {
  static const Layout one{"one", Mesh(), whole};
  return one;
}

const std::vector<std::string>& cases() {
  static const std::vector<std::string> all = {"t5_10",       "t5_depth", "t5_inner",
                                               "llama_inner", "qwen3",    "llama_groups"};
  return all;
}

TEST(MethodVariants, CoverTheRegistry) {
  std::set<std::string> named;
  for (const Variant& variant : variants()) named.insert(Subtree::parse(variant.options, "method").name());
  for (const std::string& name : method_registry().names()) EXPECT_TRUE(named.contains(name)) << name;
}

class MethodOnMesh : public testing::TestWithParam<std::tuple<Variant, Layout>> {};

TEST_P(MethodOnMesh, GradientsAreThoseOfOneRank) {
  const Variant& variant = std::get<0>(GetParam());
  const Layout& layout = std::get<1>(GetParam());
  for (const std::string& name : cases()) {
    const GoldenCase golden(name);
    if (!runs_on(variant, golden) || !fits(golden, layout)) continue;
    at::set_num_threads(1);
    World solo = solo_world();
    Attached whole_model(golden, one_rank(), variant, solo);
    whole_model.disturb(variant.disturbance);
    const StepTotals expected = train(whole_model, golden, one_rank(), solo, 0.1);
    std::map<std::string, at::Tensor> wanted;
    for (const Parameter& parameter : whole_model.parameters)
      wanted[parameter.name] = parameter.grad().clone();
    std::mutex mutex;
    std::set<std::string> seen;
    run_ranks(layout.mesh, [&](World& world) {
      at::set_num_threads(1);
      Attached here(golden, layout, variant, world);
      here.disturb(variant.disturbance);
      const StepTotals totals = train(here, golden, layout, world, 0.1);
      EXPECT_LT(std::abs(totals.loss / expected.loss - 1), kTolerance) << name;
      const std::lock_guard lock(mutex);
      for (const Parameter& parameter : here.parameters) {
        seen.insert(parameter.name);
        ASSERT_TRUE(wanted.contains(parameter.name)) << name << " " << parameter.name;
        ASSERT_TRUE(parameter.grad().defined()) << name << " " << parameter.name;
        const at::Tensor& all = wanted.at(parameter.name);
        const double scale = all.abs().max().item<double>();
        const at::Tensor part = slab_of(all, parameter.cut, world.along(Axis::kTensor));
        EXPECT_LT((parameter.grad() - part).abs().max().item<double>(), kTolerance * scale + 1e-9)
            << name << " " << parameter.name << " rank " << world.rank();
      }
    });
    EXPECT_EQ(seen.size(), wanted.size()) << name << ": everything trained is on some stage";
  }
}

TEST_P(MethodOnMesh, LeavesTheBaseAlone) {
  const Variant& variant = std::get<0>(GetParam());
  const Layout& layout = std::get<1>(GetParam());
  for (const std::string& name : cases()) {
    const GoldenCase golden(name);
    if (!runs_on(variant, golden) || !fits(golden, layout)) continue;
    run_ranks(layout.mesh, [&](World& world) {
      at::set_num_threads(1);
      Attached here(golden, layout, variant, world);
      if (here.method->trains_base()) return;
      const std::vector<at::Tensor> before = base_of(*here.stage);
      here.disturb(variant.disturbance);
      train(here, golden, layout, world, 0.1);
      const c10::NoGradGuard no_grad;
      for (const Parameter& parameter : here.parameters) parameter.value().sub_(parameter.grad(), 0.01);
      expect_same_base(*here.stage, before);
    });
  }
}

TEST_P(MethodOnMesh, PredictionsAreThoseOfOneRank) {
  const Variant& variant = std::get<0>(GetParam());
  const Layout& layout = std::get<1>(GetParam());
  for (const std::string& name : cases()) {
    const GoldenCase golden(name);
    if (!runs_on(variant, golden) || !fits(golden, layout)) continue;
    at::set_num_threads(1);
    World solo = solo_world();
    Attached whole_model(golden, one_rank(), variant, solo);
    whole_model.disturb(variant.disturbance);
    const TokenRows all = whole_model.stage->generate(golden.batch(0, 4), 6);
    run_ranks(layout.mesh, [&](World& world) {
      at::set_num_threads(1);
      Attached here(golden, layout, variant, world);
      here.disturb(variant.disturbance);
      Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, here.stage->decodes()});
      ModelPass pass(*here.stage, {}, 0.0);
      TokenRows found;
      for (const TokenRows& rows :
           pipeline.generate(pass, micro_batches(golden, world.mesh().size(Axis::kData), world.here().data),
                             {6, here.stage->eos_id()}))
        found.insert(found.end(), rows.begin(), rows.end());
      EXPECT_EQ(found, replica_rows(all, world.mesh().size(Axis::kData), world.here().data))
          << name << " rank " << world.rank();
    });
  }
}

INSTANTIATE_TEST_SUITE_P(All, MethodOnMesh,
                         testing::Combine(testing::ValuesIn(variants()), testing::ValuesIn(layouts())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name;
                         });

class Method : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override { at::set_num_threads(1); }
  // body(golden, attached, loss of the base alone) for every case.
  void for_cases(const std::function<void(const GoldenCase&, Attached&, double)>& body) {
    for (const std::string& name : cases()) {
      SCOPED_TRACE(name);
      const GoldenCase golden(name);
      if (!runs_on(GetParam(), golden)) continue;
      const double base = loss_of(*golden.stage(world_), golden.batch(0, 4));
      Attached attached(golden, one_rank(), GetParam(), world_);
      body(golden, attached, base);
    }
  }
  World world_ = solo_world();
};

TEST_P(Method, BeginsAsTheBaseWhereItPromisesThat) {
  for_cases([](const GoldenCase& golden, Attached& attached, double base) {
    const double change = std::abs(loss_of(*attached.stage, golden.batch(0, 4)) / base - 1.0);
    EXPECT_EQ(change < 1e-6, GetParam().begins_as_base) << change << " of " << base;
  });
}

TEST_P(Method, HasAnEffectThatCanBeSwitchedOff) {
  for_cases([](const GoldenCase& golden, Attached& attached, double base) {
    attached.disturb(GetParam().disturbance);
    const double with = loss_of(*attached.stage, golden.batch(0, 4));
    EXPECT_EQ(std::abs(with / base - 1.0) > 1e-6, attached.method->trains()) << with << " " << base;
    if (!attached.method->set_enabled(*attached.stage, false)) return;
    EXPECT_EQ(loss_of(*attached.stage, golden.batch(0, 4)), base);
    attached.method->set_enabled(*attached.stage, true);
    EXPECT_EQ(loss_of(*attached.stage, golden.batch(0, 4)), with);
  });
}

TEST_P(Method, GradientsAreThoseOfFiniteDifferences) {
  for_cases([](const GoldenCase& golden, Attached& attached, double) {
    if (!attached.method->trains()) return;
    attached.disturb(GetParam().disturbance);
    const MicroBatch batch = golden.batch(0, 4);
    attached.stage->loss(attached.stage->forward({}, batch, {}), batch, kZLoss).loss.backward();
    double squares = 0;
    for (const Parameter& it : attached.parameters) squares += it.grad().square().sum().item<double>();
    // Along the gradient the loss changes most for the shortest way, by about this much to either side.
    constexpr double kChange = 0.05;
    const auto move = [&](double by) {
      const c10::NoGradGuard no_grad;
      for (const Parameter& it : attached.parameters) it.value().add_(it.grad(), by * kChange / squares);
      return loss_of(*attached.stage, batch);
    };
    const double after = move(1), before = move(-2);
    EXPECT_NEAR((after - before) / (2 * kChange), 1.0, 0.02) << squares;
  });
}

// Along the gradient alone a part of it that got lost is missed on both sides.
TEST_P(Method, NoParameterLosesItsGradient) {
  for_cases([](const GoldenCase& golden, Attached& attached, double) {
    if (!attached.method->trains()) return;
    attached.disturb(GetParam().disturbance);
    const MicroBatch batch = golden.batch(0, 4);
    attached.stage->loss(attached.stage->forward({}, batch, {}), batch, kZLoss).loss.backward();
    for (const Parameter& parameter : attached.parameters) {
      const at::Tensor gradient = parameter.grad(), noise = attached.noise_like(parameter);
      const double norm = gradient.norm().item<double>();
      ASSERT_GT(norm, 0) << parameter.name;
      const c10::NoGradGuard no_grad;
      const at::Tensor direction = gradient / norm + noise / noise.norm();
      const double slope = (gradient * direction).sum().item<double>();
      // To be seen in float32, and too near for a corner of a ReLU.
      const double most = 0.003 * GetParam().disturbance * std::sqrt(static_cast<double>(gradient.numel()));
      const double step = std::min(0.003 / slope, most), expected = 2 * step * slope;
      const at::Tensor value = parameter.value(), start = value.clone();
      const auto loss_at = [&](double by) {
        value.copy_(start).add_(direction, by);
        return loss_of(*attached.stage, batch);
      };
      EXPECT_NEAR(loss_at(step) - loss_at(-step), expected, 0.05 * expected + 1e-4) << parameter.name;
      value.copy_(start);
    }
  });
}

TEST_P(Method, LeavesTheBaseAlone) {
  for_cases([](const GoldenCase& golden, Attached& attached, double) {
    if (attached.method->trains_base()) return;
    const std::vector<at::Tensor> before = base_of(*attached.stage);
    attached.disturb(GetParam().disturbance);
    for (int step = 0; step < 3 && attached.method->trains(); ++step) {
      const MicroBatch batch = golden.batch(0, 4);
      attached.stage->loss(attached.stage->forward({}, batch, training(0.1)), batch, kZLoss).loss.backward();
      const c10::NoGradGuard no_grad;
      for (const Parameter& parameter : attached.parameters) parameter.value().sub_(parameter.grad(), 0.01);
    }
    expect_same_base(*attached.stage, before);
  });
}

// Greedy decoding takes other code than the forward pass: caches, one token at a time.
TEST_P(Method, DecodingIsTheForwardPass) {
  for_cases([](const GoldenCase& golden, Attached& attached, double) {
    attached.disturb(GetParam().disturbance);
    MicroBatch batch = golden.batch(0, 4);
    const TokenRows answers = attached.stage->generate(batch, 5);
    std::vector<std::int64_t> lengths, targets, shifted;
    for (const auto& row : answers) {
      // The end of sequence is a prediction too, where it came in time.
      std::vector<std::int64_t> target(row.begin(), row.end());
      if (target.size() < 5) target.push_back(attached.stage->eos_id());
      lengths.push_back(static_cast<std::int64_t>(target.size()));
      shifted.push_back(attached.stage->pad_id());
      shifted.insert(shifted.end(), target.begin(), target.end() - 1);
      targets.insert(targets.end(), target.begin(), target.end());
    }
    batch.decoder = RowLayout(lengths);
    batch.decoder_ids = at::tensor(shifted, at::kLong);
    batch.targets = at::tensor(targets, at::kLong);
    const c10::NoGradGuard no_grad;
    const at::Tensor logits = attached.stage->logits(attached.stage->forward({}, batch, {}));
    const at::Tensor chosen = logits.gather(1, batch.targets.unsqueeze(1)).squeeze(1);
    EXPECT_LT((std::get<0>(logits.max(1)) - chosen).max().item<double>(), 1e-4);
  });
}

TEST_P(Method, ResultsAreWhatTheNetworkComesTo) {
  for_cases([](const GoldenCase&, Attached& attached, double) {
    const bool has_network = GetParam().name.starts_with("p_tuning") || GetParam().name == "prefix_mlp";
    EXPECT_EQ(attached.method->results().empty(), !has_network);
    for (const NamedSlice& result : attached.method->results()) {
      EXPECT_FALSE(result.value.requires_grad()) << result.name;
      EXPECT_GT(result.value.abs().max().item<double>(), 0) << result.name;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, Method, testing::ValuesIn(variants()),
                         [](const auto& test) { return test.param.name; });

// A key of zeros takes its share of the softmax from the others.
TEST(Prefix, OfZerosIsNotTheBase) {
  for (const std::string& name : cases()) {
    const GoldenCase golden(name);
    World world = solo_world();
    const double base = loss_of(*golden.stage(world), golden.batch(0, 4));
    Attached zeros(golden, one_rank(), {"zeros", "{name: prefix_tuning, init_std: 0, length: 3}"}, world);
    EXPECT_EQ(zeros.parameters.front().value().abs().max().item<double>(), 0);
    EXPECT_GT(std::abs(loss_of(*zeros.stage, golden.batch(0, 4)) / base - 1.0), 1e-5) << name;
  }
}

std::string refusal(const std::string& options, const std::string& golden_name = "t5_10") {
  World world = solo_world();
  const GoldenCase golden(golden_name);
  const auto stage = golden.stage(world);
  try {
    Subtree subtree = Subtree::parse(options, "method");
    make_method(subtree)->attach(*stage, method_context());
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(MethodRefusal, UnknownMapsAreNamedWithTheNearest) {
  EXPECT_NE(refusal("{name: lora, targets: [SelfAttention.qq]}").find("'SelfAttention.qq'"),
            std::string::npos);
  EXPECT_NE(refusal("{name: ia3, targets: [wii]}").find("method.targets: no linear map"), std::string::npos);
  EXPECT_NE(refusal("{name: lora, targets: [q_prok]}", "qwen3").find("did you mean 'q_proj'?"),
            std::string::npos);
}

TEST(MethodRefusal, APrefixForAttentionsThatAreNotThere) {
  EXPECT_NE(refusal("{name: prefix_tuning, decoder: false}", "qwen3").find("no attention of this model"),
            std::string::npos);
  EXPECT_NE(
      refusal("{name: prefix_tuning, encoder: false, decoder: false, cross: false}").find("nothing to train"),
      std::string::npos);
}

TEST(MethodRefusal, InputsOfOneOfSeveralMaps) {
  EXPECT_NE(refusal("{name: ia3, feed_forward: [q]}").find("name it in method.targets"), std::string::npos);
}

}  // namespace
}  // namespace trimtab::test
