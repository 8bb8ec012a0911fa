// SPDX-License-Identifier: Apache-2.0
#include "experiments/step_plan.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "experiments/plan_report.h"
#include "message_of.h"
#include "models/golden_case.h"
#include "models/t5/t5_memory.h"

namespace trimtab::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

PlanRequest request_of(const std::string& folder, const std::string& more = "") {
  PlanRequest request;
  request.config = parse_config<ExperimentConfig>("output: none\nmodel: {weights: " + folder +
                                                      "}\ntask: {name: superglue/rte, path: none}\nmethod: "
                                                      "{name: prompt_tuning, length: 4, init: uniform}\n" +
                                                      more,
                                                  "test.yaml");
  request.device = "h100";
  request.lengths = RowLengths{10, 3};
  return request;
}

TEST(StepPlan, RanksArePlacedOnNodes) {
  const auto placed = [](const std::string& device, int own, int ranks, int nodes, int per_node) {
    PlanRequest request;
    request.device = device;
    request.config.mesh.data = own;
    place_ranks(request, ranks, nodes, per_node);
    return std::pair(request.ranks, request.per_node);
  };
  EXPECT_EQ(placed("h100", 1, 0, 4, 8), std::pair(32, 8));
  EXPECT_EQ(placed("h100", 1, 0, 4, 0), std::pair(32, 8));
  EXPECT_EQ(placed("h100", 16, 0, 0, 0), std::pair(16, 8));
  EXPECT_EQ(placed("h100", 4, 0, 0, 0), std::pair(4, 4));
  EXPECT_EQ(placed("h100", 1, 16, 4, 0), std::pair(16, 4));
  EXPECT_EQ(placed("cpu", 6, 0, 0, 0), std::pair(6, 6));
  EXPECT_EQ(placed("cpu", 1, 4, 0, 2), std::pair(4, 2));
  EXPECT_THAT(message_of([&] { placed("h100", 1, 12, 2, 8); }),
              AllOf(HasSubstr("--ranks: 12 are not 2 nodes of 8"), HasSubstr("16")));
  EXPECT_THAT(message_of([&] { placed("h100", 1, 12, 0, 0); }),
              HasSubstr("--ranks: 12 are not 2 nodes of 8"));
  EXPECT_THAT(message_of([&] { placed("h100", 1, 0, -1, 0); }), HasSubstr("--nodes"));
}

TEST(StepPlan, UnknownDeviceNamesTheNearest) {
  EXPECT_THAT(message_of([] { device_named("h10", DType::kFloat32, {1}, {}); }),
              AllOf(HasSubstr("--device: 'h10'"), HasSubstr("did you mean 'h100'"), HasSubstr("a100")));
  EXPECT_GT(device_named("h100", DType::kBFloat16, {8}, {}).operations,
            device_named("h100", DType::kFloat32, {8}, {}).operations);
}

TEST(StepPlan, ThisMachineIsMeasuredAndShared) {
  const Device device = device_named("cpu", DType::kFloat32, {2}, {.width = 256, .heads = 4, .head_dim = 64});
  EXPECT_GT(device.operations, 1e8);
  EXPECT_GT(device.efficiency, 0);  // how much depends on what else the machine does
  EXPECT_GT(device.bandwidth, 1e7);
  EXPECT_GT(device.memory, 0);
}

// Every factorisation is there once: what can run in the order of its time, the rest with the reason.
TEST(StepPlan, EveryMeshIsRankedOrRefused) {
  const GoldenCase golden("t5_depth");
  PlanRequest request = request_of(golden.folder(), "train: {batch: 6}\n");
  request.config.mesh.data = 2;
  request.config.mesh.pipe = 2;
  place_ranks(request, 4, 0, 2);
  const StepPlan plan = plan_steps(request);
  ASSERT_EQ(plan.meshes.size(), 6u);
  double last = 0;
  bool refused = false;
  for (const MeshPlan& mesh : plan.meshes) {
    EXPECT_EQ(mesh.mesh.size(), 4);
    EXPECT_EQ(mesh.own, mesh.mesh == Mesh(2, 2, 1));
    if (!mesh.refused.empty()) {
      refused = true;
      continue;
    }
    EXPECT_FALSE(refused) << "what runs comes first";
    EXPECT_GE(mesh.step(), last);
    last = mesh.step();
    EXPECT_EQ(static_cast<int>(mesh.stages.size()), mesh.mesh.size(Axis::kPipe));
  }
  const auto reason = [&](const Mesh& mesh) {
    for (const MeshPlan& one : plan.meshes)
      if (one.mesh == mesh) return one.refused;
    return std::string("not there");
  };
  EXPECT_THAT(reason(Mesh(4, 1, 1)), HasSubstr("train.batch: 6 rows cannot be shared evenly"));
  EXPECT_THAT(reason(Mesh(1, 1, 4)), HasSubstr("do not lie inside a node of 2"));
  EXPECT_EQ(reason(Mesh(2, 2, 1)), "");
  EXPECT_EQ(shown_mesh(plan)->mesh, Mesh(2, 2, 1));
  EXPECT_THAT(plan_text(plan, request),
              AllOf(HasSubstr("(the experiment's)"), HasSubstr("as given"), HasSubstr("refused: data 4")));
}

TEST(StepPlan, LimitsStandInForDataThatAreNotHere) {
  const GoldenCase golden("t5_11");
  PlanRequest request = request_of(golden.folder(), "text: {max_input: 30, max_target: 5}\n");
  request.lengths.reset();
  EXPECT_THAT(plan_steps(request).rows, AllOf(HasSubstr("30 input and 5 target"), HasSubstr("text.max_input"),
                                              HasSubstr("cannot be read")));
}

// 4 * (P d + 2) bytes a step and replica, whatever the number of layers (docs/results.md, Ranks).
TEST(StepPlan, GradientOfAPrompt) {
  const GoldenCase golden("t5_11");
  PlanRequest request = request_of(golden.folder());
  place_ranks(request, 2, 0, 0);
  const auto width = open_model(golden.folder())->attention_shape().width;
  const StepPlan plan = plan_steps(request);
  const auto replicas =
      std::ranges::find_if(plan.meshes, [](const MeshPlan& mesh) { return mesh.mesh == Mesh(2, 1, 1); });
  ASSERT_NE(replicas, plan.meshes.end());
  EXPECT_EQ(replicas->stages[0].traffic[Traffic::kGradient].bytes, kPlannedSteps * 4 * (4 * width + 2));
}

TEST(StepPlan, SaysWhatIsTooLargeAndWhatHelps) {
  const GoldenCase golden("t5_11");
  PlanRequest request = request_of(golden.folder());
  StepPlan plan = plan_steps(request);
  EXPECT_EQ(why_nothing_fits(plan), "");
  plan.device.memory = 1000;
  for (MeshPlan& mesh : plan.meshes) {
    mesh.fits = false;
    mesh.stages[0].memory.weights = std::int64_t{1} << 40;
  }
  EXPECT_THAT(why_nothing_fits(plan),
              AllOf(HasSubstr("no mesh fits"), HasSubstr("1.0 TiB are weights"), HasSubstr("mesh.pipe")));
  for (MeshPlan& mesh : plan.meshes) mesh.stages[0].memory.activations = std::int64_t{1} << 41;
  EXPECT_THAT(why_nothing_fits(plan), AllOf(HasSubstr("activations"), HasSubstr("train.micro_batch_tokens")));
}

TEST(MemoryPlan, StagesBelowWhatIsTrainedKeepNothing) {
  const GoldenCase golden("t5_depth");
  ExperimentConfig config = request_of(golden.folder()).config;
  Subtree options = config.method;
  const auto method = make_method(options);
  Batch batch;
  batch.append(std::vector<TokenId>(10, 3), std::vector<TokenId>(3, 3), 0, 0);
  StageLoad load;
  load.units = {0, 2};
  load.steps = {{batch, batch, batch}};
  config.mesh.pipe = 2;
  const RankMemory trained = rank_memory(golden.model(), config, *method, load);
  EXPECT_GT(trained.activations, 0);
  load.first_trained = 1;
  const RankMemory frozen = rank_memory(golden.model(), config, *method, load);
  EXPECT_EQ(frozen.activations, 0);
  EXPECT_EQ(frozen.weights, trained.weights);
  // Two stages: two micro-batches wait on the first, all three where they go forward before any goes back.
  load.first_trained = 0;
  config.mesh.schedule = "gpipe";
  const std::int64_t all = rank_memory(golden.model(), config, *method, load).activations;
  EXPECT_NEAR(static_cast<double>(all) / static_cast<double>(trained.activations), 1.5, 1e-3);
}

std::int64_t weights_of(const T5Config& config, const T5StageRange& range, const MemoryPlan& plan) {
  return planned_bytes(config, range, plan).weights;
}

TEST(MemoryPlan, WeightsCountOnceFrozenAndTwiceTrained) {
  const T5Config config;
  MemoryPlan plan;
  const std::int64_t frozen = weights_of(config, whole_model(config), plan);
  EXPECT_EQ(frozen, parameter_count(config) * 4);
  plan.trains_base = true;
  EXPECT_EQ(weights_of(config, whole_model(config), plan), 2 * frozen) << "with gradients";
  plan.element_bytes = 2;
  EXPECT_EQ(weights_of(config, whole_model(config), plan), 2 * frozen) << "with float32 masters";
}

TEST(MemoryPlan, RanksHoldTheirPart) {
  const T5Config config;
  MemoryPlan plan;
  const std::int64_t whole = weights_of(config, whole_model(config), plan);
  plan.tensor = 2;
  const std::int64_t norms =
      (2 * config.encoder_layers + 1 + 3 * config.decoder_layers + 1) * config.d_model * 4;
  EXPECT_EQ(weights_of(config, whole_model(config), plan), (whole - norms) / 2 + norms);
  plan.tensor = 1;
  const std::int64_t encoder = weights_of(config, {0, config.encoder_layers, 0, 0}, plan);
  const std::int64_t decoder =
      weights_of(config, {config.encoder_layers, config.encoder_layers, 0, config.decoder_layers}, plan);
  // Both read the embedding; norms at the end of the stacks and tables of relative biases count on both.
  EXPECT_NEAR(static_cast<double>(encoder + decoder),
              static_cast<double>(whole + config.vocab * config.d_model * 4),
              0.01 * static_cast<double>(whole));
}

TEST(MemoryPlan, RefusesWhatDoesNotFit) {
  const ExperimentConfig config = request_of("none").config;
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  EXPECT_THAT(message_of([&] { check_fits_memory(4 * kGiB, 1ull << 30, 1, config); }),
              AllOf(HasSubstr("4.0 GiB"), HasSubstr("train.micro_batch_tokens"), HasSubstr("bfloat16")));
  EXPECT_NO_THROW(check_fits_memory(4 * kGiB, 0, 1, config)) << "not known";
  EXPECT_NO_THROW(check_fits_memory(kGiB, 4ull << 30, 4, config));
  EXPECT_THAT(message_of([&] { check_fits_memory(2 * kGiB, 4ull << 30, 4, config); }),
              AllOf(HasSubstr("1.0 GiB are available"), HasSubstr("4 ranks on this machine")));
}

// Counted by hand: an encoder layer of d 512, I 384, F 1024, 6 heads.
TEST(MemoryPlan, ActivationsOfAnEncoderLayer) {
  T5Config config;
  MemoryPlan plan;
  plan.waiting = {2, 100, 8, 50};
  const std::int64_t attention = 512 + 4 * 384 + 6, feed_forward = 512 + 2 * 1024;
  EXPECT_EQ(planned_bytes(config, {1, 2, 0, 0}, plan).kept, 4 * 100 * (attention + feed_forward));
  plan.dropout = true;
  EXPECT_EQ(planned_bytes(config, {1, 2, 0, 0}, plan).kept,
            4 * (100 * (attention + feed_forward + 6) + 2 * (2 * 512 + 1024)));
  plan.dropout = false;
  plan.tensor = 2;
  EXPECT_EQ(planned_bytes(config, {1, 2, 0, 0}, plan).kept, 4 * 100 * (2 * 512 + 2 * 384 + 3 + 2 * 512));
  // What norms keep is of half of the tokens.
  plan.sequence_parallel = true;
  EXPECT_EQ(planned_bytes(config, {1, 2, 0, 0}, plan).kept, 4 * 100 * (2 * 256 + 2 * 384 + 3 + 2 * 512));
  plan.sequence_parallel = false;
  plan.tensor = 1;
  plan.at_work = {2, 100, 8, 50};
  plan.decoded = 8;
  // Keys and values of the inputs' positions, and room for 8 tokens a row.
  EXPECT_EQ(planned_bytes(config, {8, 8, 0, 8}, plan).caches, 4 * 8 * 2 * 384 * (100 + 2 * 8));
}

}  // namespace
}  // namespace trimtab::test
