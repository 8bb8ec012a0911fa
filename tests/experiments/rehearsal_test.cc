// SPDX-License-Identifier: Apache-2.0
//
// What a rehearsal counts is what ranks send: every method on meshes of threads, stage by stage.
#include <gmock/gmock.h>

#include <mutex>

#include "data/batcher.h"
#include "data/replica_share.h"
#include "experiments/rehearsal.h"
#include "experiments/to_micro_batch.h"
#include "experiments/train_step.h"
#include "models/golden_case.h"
#include "models/shapes_only.h"
#include "parallel/optimizer_memory.h"
#include "runtime/world.h"

namespace trimtab::test {
namespace {

constexpr int kSteps = 2;

ExperimentConfig config_of(const std::string& folder, const std::string& method, const std::string& optimizer,
                           const Mesh& mesh, bool sequence_parallel = false) {
  ExperimentConfig config = parse_config<ExperimentConfig>(
      "output: none\nmodel: {weights: " + folder + "}\ntask: {name: none}\nmethod: " + method +
          "\noptimizer: " + optimizer + "\ntrain: {batch: 6, micro_batch_tokens: 24, dropout: 0}\n",
      "test.yaml");
  config.mesh.data = mesh.size(Axis::kData);
  config.mesh.pipe = mesh.size(Axis::kPipe);
  config.mesh.tensor = mesh.size(Axis::kTensor);
  config.mesh.sequence_parallel = sequence_parallel;
  return config;
}

MethodContext some_context() {
  MethodContext context;
  context.pieces = 20;
  context.encode = [](const std::string&) { return std::vector<std::int32_t>{5}; };
  return context;
}

// Rows of uneven lengths.
Batch batch_of(int step) {
  Batch batch;
  for (int row = 0; row < 6; ++row) {
    const std::vector<TokenId> input(static_cast<std::size_t>(3 + (row * 5 + step) % 7), 4);
    const std::vector<TokenId> target(static_cast<std::size_t>(2 + row % 3), 6);
    batch.append(input, target, static_cast<std::uint64_t>(row), 0);
  }
  return batch;
}

std::vector<Batch> micro_batches_of(const ExperimentConfig& config, int step, int replica,
                                    std::int64_t extra) {
  return micro_batches(replica_share(batch_of(step), static_cast<int>(config.mesh.data), replica),
                       config.train.micro_batch_tokens, extra);
}

// The traffic of the steps of the first tensor rank of each stage of the first replica.
std::vector<TrafficCounters> run_steps(const BaseModel& model, const ExperimentConfig& config,
                                       const StagePlan& plan) {
  std::vector<TrafficCounters> found(static_cast<std::size_t>(plan.stages()));
  std::mutex mutex;
  run_ranks(mesh_of(config), [&](World& world) {
    StageOptions of_stage{units_of(plan, world.here().pipe)};
    of_stage.sequence_parallel = config.mesh.sequence_parallel;
    const auto stage = model.make_stage(world, of_stage);
    Subtree options = config.method;
    const auto method = make_method(options);
    const Parameters parameters = method->attach(*stage, some_context());
    ModelRunner runner(*stage, world, config.mesh.schedule, !parameters.empty());
    TrainStep step(runner, parameters, {});
    const auto optimizer = make_optimizer(config.optimizer.resolved(0.001), &step.sums());
    const TrafficCounters before = world.traffic();
    for (int n = 0; n < kSteps; ++n) {
      step.run(n,
               to_micro_batches(micro_batches_of(config, n, world.here().data, method->row_positions()),
                                stage->pad_id()),
               [](std::uint64_t) { return std::string(); });
      optimizer->step(parameters, 0.001);
    }
    if (world.here().data != 0 || world.here().tensor != 0) return;
    TrafficCounters during = world.traffic();
    during -= before;
    const std::lock_guard lock(mutex);
    found[static_cast<std::size_t>(world.here().pipe)] = during;
  });
  return found;
}

// Bytes that two tensor ranks send in a step of one row, as multiples of what one token's states take.
double states_sent(const GoldenCase& golden, std::size_t inputs, std::size_t targets) {
  const ExperimentConfig config =
      config_of(golden.folder(), "{name: prompt_tuning, length: 7, init: uniform}", "{}", {1, 1, 2});
  const auto model = open_model(golden.folder());
  forget_weights(*model);
  Batch batch;
  batch.append(std::vector<TokenId>(inputs, 4), std::vector<TokenId>(targets, 6), 0, 0);
  const Rehearsal rehearsal =
      rehearse(*model, config, balanced_plan(model->cost_units({8, 3}), 1), some_context(), {{batch}});
  return static_cast<double>(rehearsal.stages.at(0).traffic[Traffic::kTensor].bytes) /
         (4.0 * static_cast<double>(model->attention_shape().width));
}

// An input token's embedding is summed up, each layer of the encoder sums up twice and enters twice; the two
// layers of the decoder read states that were entered once.
TEST(Rehearsal, EncoderStatesAreEnteredOnce) {
  const GoldenCase golden("t5_depth");
  constexpr int kEncoderLayers = 3;
  const double of_a_token = (states_sent(golden, 19, 3) - states_sent(golden, 9, 3)) / 10;
  EXPECT_EQ(of_a_token, 1 + 4 * kEncoderLayers + 1);
}

struct Setting {
  std::string name, method;
};

class RehearsalCounts : public testing::TestWithParam<Setting> {};

TEST_P(RehearsalCounts, WhatRanksSend) {
  const std::vector<std::string> optimizers = {
      "{name: adafactor, min_dim_size_to_factor: 4, parameter_scaling: true}",
      "{name: adamw, global_norm_clip: 1}"};
  const std::vector<Mesh> meshes = {{2, 1, 1}, {1, 1, 2}, {1, 3, 1}, {2, 2, 2},
                                    {1, 1, 3}, {1, 1, 2}, {1, 2, 2}};
  constexpr std::size_t kSequenceParallel = 5;  // the first of those that are
  std::vector<std::string> models = {"t5_depth", "qwen3"};
  // Tied heads are trained tables that two stages hold.
  if (GetParam().name == "model_tuning") models = {"t5_10", "llama_tied"};
  if (GetParam().name == "decoder_prompt") models = {"t5_depth"};
  for (const std::string& name : models) {
    const GoldenCase golden(name);
    for (std::size_t i = 0; i < meshes.size(); ++i) {
      const Mesh& mesh = meshes[i];
      if (mesh.size(Axis::kPipe) > golden.layers() ||
          mesh.size(Axis::kTensor) > golden.model().attention_shape().kv_heads)
        continue;
      const bool sequence_parallel = i >= kSequenceParallel;
      SCOPED_TRACE(name + " on " + mesh.text() + (sequence_parallel ? ", tokens shared out" : ""));
      const ExperimentConfig config = config_of(golden.folder(), GetParam().method,
                                                optimizers[i % optimizers.size()], mesh, sequence_parallel);
      const StagePlan plan = balanced_plan(golden.model().cost_units({8, 3}), mesh.size(Axis::kPipe));
      Subtree options = config.method;
      const std::int64_t extra = make_method(options)->row_positions();
      std::vector<std::vector<Batch>> steps;
      for (int n = 0; n < kSteps; ++n) steps.push_back(micro_batches_of(config, n, 0, extra));
      ASSERT_GT(steps[0].size(), 1u) << "the schedule should matter";

      const auto model = open_model(golden.folder());
      forget_weights(*model);
      const Rehearsal rehearsal = rehearse(*model, config, plan, some_context(), steps);
      const std::vector<TrafficCounters> sent = run_steps(golden.model(), config, plan);
      ASSERT_EQ(rehearsal.stages.size(), sent.size());
      for (std::size_t stage = 0; stage < sent.size(); ++stage)
        for (const Traffic purpose :
             {Traffic::kTensor, Traffic::kPipeline, Traffic::kGradient, Traffic::kControl}) {
          const TrafficCount &planned = rehearsal.stages[stage].traffic[purpose],
                             &real = sent[stage][purpose];
          EXPECT_EQ(planned.bytes, real.bytes) << name_of(purpose) << " of stage " << stage;
          EXPECT_EQ(planned.messages, real.messages) << name_of(purpose) << " of stage " << stage;
        }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RehearsalCounts,
    testing::Values(Setting{"prompt", "{name: prompt_tuning, length: 7, init: uniform}"},
                    Setting{"decoder_prompt",
                            "{name: prompt_tuning, length: 4, decoder_length: 3, init: uniform}"},
                    Setting{"p_tuning", "{name: p_tuning, length: 5, encoder: lstm, hidden: 6}"},
                    Setting{"prefix", "{name: prefix_tuning, length: 3}"},
                    Setting{"prefix_mlp", "{name: prefix_tuning, reparameterisation: mlp, hidden: 6}"},
                    Setting{"lora", "{name: lora, rank: 4}"}, Setting{"ia3", "{name: ia3}"},
                    Setting{"model_tuning", "{name: model_tuning}"}),
    [](const auto& test) { return test.param.name; });

TEST(Rehearsal, NothingIsReadAndNothingTrainedSendsNothing) {
  const GoldenCase golden("t5_11");
  const ExperimentConfig config = config_of(golden.folder(), "{name: zero_shot}", "{}", Mesh(2, 2, 1));
  const auto model = open_model(golden.folder());
  forget_weights(*model);
  std::vector<float> values(4, 7.0F);
  model->weights().read("shared.weight", {{0, 0}, {1, 4}}, DType::kFloat32, values.data());
  EXPECT_THAT(values, testing::Each(7.0F)) << "the weights were read";
  const StagePlan plan = balanced_plan(model->cost_units({8, 3}), 2);
  const Rehearsal rehearsal = rehearse(*model, config, plan, some_context(), {});
  EXPECT_EQ(rehearsal.first_trained, 2);
  std::int64_t bytes = 0;
  for (const RehearsedStage& stage : rehearsal.stages) {
    bytes += stage.base_bytes;
    EXPECT_EQ(stage.trained, 0);
    EXPECT_EQ(stage.traffic[Traffic::kPipeline].bytes, 0);
  }
  EXPECT_GE(bytes, 4 * model->parameter_count());
}

// The memory check counts weights by formula; stages hold them.
TEST(Rehearsal, StagesHoldTheWeightsThatMemoryCounts) {
  for (const std::string& name : golden_cases()) {
    const auto model = open_model(GoldenCase(name).folder());
    forget_weights(*model);
    for (const Mesh& mesh : {Mesh(), Mesh(1, 2, 1), Mesh(1, 1, 2), Mesh(1, 1, 3)}) {
      if (mesh.size(Axis::kTensor) > model->attention_shape().kv_heads) continue;
      const ExperimentConfig config = config_of("none", "{name: zero_shot}", "{}", mesh);
      const StagePlan plan = balanced_plan(model->cost_units({8, 3}), mesh.size(Axis::kPipe));
      const Rehearsal rehearsal = rehearse(*model, config, plan, some_context(), {});
      MemoryPlan memory;
      memory.tensor = mesh.size(Axis::kTensor);
      for (int stage = 0; stage < plan.stages(); ++stage) {
        const auto held = static_cast<double>(rehearsal.stages[static_cast<std::size_t>(stage)].base_bytes);
        const auto counted = static_cast<double>(model->planned_bytes(units_of(plan, stage), memory).weights);
        // Norms and biases at the ends of T5's stacks are counted on each stage.
        EXPECT_NEAR(counted / held, 1.0, 0.02) << name << " on " << mesh.text() << ", stage " << stage;
      }
    }
  }
}

TEST(Rehearsal, RefusesWhatAStartRefuses) {
  const GoldenCase golden("t5_11");
  const auto model = open_model(golden.folder());
  forget_weights(*model);
  const StagePlan plan = balanced_plan(model->cost_units({8, 3}), 1);
  try {
    rehearse(*model, config_of(golden.folder(), "{name: prompt_tuning, length: 3}", "{}", Mesh(1, 1, 7)),
             plan, some_context(), {});
    FAIL() << "7 tensor ranks";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("mesh.tensor: 7 ranks for 4 heads"));
  }
}

// Told from shapes what the optimizers do keep.
TEST(OptimizerMemory, IsWhatOptimizersKeep) {
  const at::Tensor matrix = at::ones({6, 8}, at::kFloat).set_requires_grad(true);
  const at::Tensor vector = at::ones({10}, at::kFloat).set_requires_grad(true);
  const at::Tensor half = at::ones({6, 8}, at::kBFloat16).set_requires_grad(true);
  for (const std::string name : {"adafactor", "adamw", "sgd", "momentum"}) {
    OptimizerConfig config;
    config.name = name == "momentum" ? "sgd" : name;
    if (name == "momentum") config.momentum = 0.9;
    if (name == "adafactor") config.min_dim_size_to_factor = 5;
    for (const at::Tensor& leaf : {matrix, vector, half}) {
      const Parameters parameters = {{"p", leaf}};
      std::int64_t kept = 0;
      for (const NamedSlice& slice : make_optimizer(config)->state(parameters).tensors)
        kept += static_cast<std::int64_t>(slice.value.nbytes());
      const std::vector<std::int64_t> shape = leaf.sizes().vec();
      EXPECT_EQ(optimizer_bytes(config, shape, shape, leaf.is_same(half)), kept) << name;
    }
  }
}

}  // namespace
}  // namespace trimtab::test
