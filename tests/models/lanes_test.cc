// SPDX-License-Identifier: Apache-2.0
//
// Several prompts of different lengths in one micro-batch, on every mesh: each row gets what it gets alone
// with its prompt on one rank, in what is generated, in log-likelihoods and in gradients.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include "models/golden_case.h"
#include "models/mesh_case.h"
#include "models/methods/prompt_lanes.h"
#include "models/model_pass.h"
#include "parallel/gradient_sync.h"
#include "parallel/pipeline.h"
#include "runtime/check.h"
#include "runtime/world.h"

namespace trimtab::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double kTolerance = 1e-5;
constexpr std::int64_t kDecoded = 6;
const std::vector<std::int32_t> kLanes = {2, 0, 1, 0};  // of the golden rows; lane 3 has none
const std::vector<std::vector<std::int32_t>> kCandidates = {{4, 7}, {5}, {4, 2, 9}, {6, 7}};

// The golden prompt, a part of it the other way round, one of a single row, and one that no row uses.
std::vector<at::Tensor> prompts(const GoldenCase& golden) {
  const at::Tensor prompt = golden.stored("prompt");
  return {prompt, -prompt.narrow(0, 0, 2).clone(), 0.5 * prompt.narrow(0, 1, 1).clone(),
          at::ones({5, prompt.size(1)})};
}

class TrainedLanes : public InputAdapter {
 public:
  explicit TrainedLanes(std::vector<at::Tensor> rows) : rows_(std::move(rows)) {
    for (at::Tensor& lane : rows_) lane.set_requires_grad(true);
  }
  std::int64_t positions(std::int32_t lane) const override { return rows(lane).size(0); }
  at::Tensor rows(std::int32_t lane) const override { return rows_.at(static_cast<std::size_t>(lane)); }

 private:
  std::vector<at::Tensor> rows_;
};

// This replica's rows, mixed.
std::vector<MicroBatch> mixed(const GoldenCase& golden, World& world) {
  std::vector<MicroBatch> batches = micro_batches(golden, world.mesh().size(Axis::kData), world.here().data);
  for (MicroBatch& batch : batches)
    for (std::size_t row = 0; row < batch.lanes.size(); ++row)
      batch.lanes[row] = kLanes.at(batch.samples[row]);
  return batches;
}

// What each golden row gets alone on one rank.
struct Alone {
  TokenRows decoded;
  std::vector<std::vector<float>> likelihoods;  // of the candidates
  std::vector<at::Tensor> gradients;            // of the lanes
};

Alone alone(const GoldenCase& golden) {
  World world = solo_world();
  const auto stage = golden.stage(world);
  Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, true});
  ModelPass pass(*stage, {}, 0.0);
  Alone out;
  std::vector<at::Tensor> rows = prompts(golden);
  for (at::Tensor& lane : rows) lane.set_requires_grad(true);
  for (std::size_t row = 0; row < kLanes.size(); ++row) {
    const auto at = static_cast<std::int64_t>(row);
    const MicroBatch batch = golden.batch(at, at + 1);
    FixedPrompt prompt(rows[static_cast<std::size_t>(kLanes[row])]);
    stage->attach_input(&prompt);
    out.decoded.push_back(stage->generate(batch, kDecoded).front());
    out.likelihoods.push_back(pipeline.rank(pass, {batch}, CandidateWalk(kCandidates)).front());
    const StageIO states = stage->forward({}, batch, {});
    stage->loss(states, batch, 0.0).loss.backward();
  }
  for (const at::Tensor& lane : rows) out.gradients.push_back(lane.grad());
  return out;
}

class Lanes : public testing::TestWithParam<Layout> {};
INSTANTIATE_TEST_SUITE_P(Meshes, Lanes, testing::ValuesIn(layouts()),
                         [](const auto& test) { return test.param.name; });

TEST_P(Lanes, AnswersAreThoseOfEachRowAlone) {
  for (const std::string& name : golden_cases()) {
    const GoldenCase golden(name);
    if (!fits(golden, GetParam())) continue;
    const Alone expected = alone(golden);
    run_ranks(GetParam().mesh, [&](World& world) {
      at::set_num_threads(1);
      const auto stage = stage_of(golden, GetParam(), world);
      std::vector<LanePrompt> lanes;
      for (const at::Tensor& rows : prompts(golden)) lanes.push_back({"a prompt", rows});
      const auto method = make_prompt_lanes(lanes);
      EXPECT_FALSE(method->trains());
      EXPECT_TRUE(method->attach(*stage, {}).empty());
      Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, stage->decodes()});
      ModelPass pass(*stage, {}, 0.0);
      const std::vector<MicroBatch> batches = mixed(golden, world);
      const auto decoded = pipeline.generate(pass, batches, {kDecoded, stage->eos_id()});
      const auto ranked = pipeline.rank(pass, batches, CandidateWalk(kCandidates));
      for (std::size_t i = 0; i < batches.size(); ++i)
        for (std::size_t row = 0; row < batches[i].samples.size(); ++row) {
          const std::size_t sample = batches[i].samples[row];
          EXPECT_EQ(decoded[i][row], expected.decoded[sample]) << name << " row " << sample;
          for (std::size_t c = 0; c < kCandidates.size(); ++c)
            EXPECT_NEAR(ranked[i][row * kCandidates.size() + c], expected.likelihoods[sample][c], 2e-4)
                << name << " row " << sample << ", candidate " << c;
        }
    });
  }
}

TEST_P(Lanes, GradientsOfALaneAreThoseOfItsRows) {
  for (const std::string& name : golden_cases()) {
    const GoldenCase golden(name);
    if (!fits(golden, GetParam())) continue;
    const Alone expected = alone(golden);
    run_ranks(GetParam().mesh, [&](World& world) {
      at::set_num_threads(1);
      const auto stage = stage_of(golden, GetParam(), world);
      TrainedLanes lanes(prompts(golden));
      stage->attach_input(&lanes);
      Parameters parameters;
      if (stage->embeds_input())
        for (std::int32_t lane = 0; lane < 3; ++lane)
          parameters.push_back({fmt::format("prompt.{}", lane), lanes.rows(lane)});
      Pipeline pipeline(world.along(Axis::kPipe),
                        {GetParam().schedule, !parameters.empty(), stage->decodes()});
      ModelPass pass(*stage, {}, 0.0);
      const PassTotals totals = pipeline.train(pass, mixed(golden, world));
      // A replica may have no row of a lane.
      for (const Parameter& parameter : parameters)
        if (!parameter.leaf.grad().defined()) parameter.leaf.mutable_grad() = at::zeros_like(parameter.leaf);
      GradientSync(world.along(Axis::kData)).reduce(parameters, totals.loss, totals.tokens);
      for (std::size_t lane = 0; lane < parameters.size(); ++lane)
        EXPECT_LT(relative_error(parameters[lane].grad(), expected.gradients[lane]), kTolerance)
            << name << " lane " << lane;
      EXPECT_FALSE(lanes.rows(3).grad().defined()) << "no row goes through it";
    });
  }
}

TEST(PromptLanes, AnotherWidthIsRefusedOnEveryStage) {
  const GoldenCase golden("t5_11");
  run_ranks(Mesh(1, 2, 1), [&](World& world) {
    const auto stage = stage_of(golden, {"pp2", world.mesh(), between}, world);
    const auto narrow = make_prompt_lanes(
        {{"good.h5", golden.stored("prompt")}, {"narrow.h5", at::ones({3, stage->width() - 1})}});
    EXPECT_EQ(narrow->lane_positions(), (std::vector<std::int64_t>{golden.stored("prompt").size(0), 3}));
    try {
      narrow->attach(*stage, {});
      ADD_FAILURE() << "a prompt of another width was attached";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(),
                  AllOf(HasSubstr("narrow.h5"), HasSubstr(fmt::format("of width {}", stage->width() - 1)),
                        HasSubstr(fmt::format("has {}", stage->width()))));
    }
  });
}

}  // namespace
}  // namespace trimtab::test
