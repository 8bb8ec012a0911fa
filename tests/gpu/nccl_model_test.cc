// SPDX-License-Identifier: Apache-2.0
//
// Models whose stages and shares are on GPUs, over NCCL and MPI as in a job: the loss, the gradient of a
// prompt, greedy predictions and the ranking of candidates, against those of the reference and of the host.
// How many ranks share a GPU is as in nccl_test.cc.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "models/golden_case.h"
#include "models/mesh_case.h"
#include "models/model_pass.h"
#include "parallel/cuda_library.h"
#include "parallel/gradient_sync.h"
#include "parallel/pipeline.h"
#include "runtime/mpi_test_main.h"
#include "runtime/nccl_communicator.h"

namespace trimtab::test {
namespace {

using namespace std::chrono_literals;

constexpr double kTolerance = 1e-3;

std::string no_gpu() {
  try {
    if (const std::string reason = load_torch_cuda(); !reason.empty()) return "no GPU can be used: " + reason;
    use_device(test_session().local_rank() % std::max(1, visible_devices()));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

class NcclModel : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    if (const std::string reason = no_gpu(); !reason.empty()) GTEST_SKIP() << reason;
    if (layout().mesh.size() != test_session().size()) GTEST_SKIP() << "for another number of ranks";
  }
  const Layout& layout() const {
    return *std::ranges::find(layouts(), std::get<1>(GetParam()), &Layout::name);
  }
  World devices() const {
    return mpi_world(layout().mesh, test_session(), {.deadline = 60s}, nccl_communicators({.deadline = 60s}));
  }
  static at::Device device() { return {at::kCUDA, static_cast<at::DeviceIndex>(current_device().index)}; }
  static Layout one() { return {"one", Mesh(), whole}; }

  GoldenCase golden_{std::get<0>(GetParam())};
};

struct Trained {
  double loss = 0;
  at::Tensor gradient;  // of the prompt, where this rank trains it
};

Trained train(const GoldenCase& golden, const Layout& layout, World& world, at::Device device) {
  const auto stage = stage_of(golden, layout, world, device);
  const at::Tensor rows = golden.stored("prompt").to(device).set_requires_grad(true);
  FixedPrompt prompt(rows);
  stage->attach_input(&prompt);
  Parameters parameters;
  if (stage->embeds_input()) parameters = {{"prompt", rows}};
  Pipeline pipeline(world.along(Axis::kPipe), {layout.schedule, !parameters.empty(), stage->decodes()});
  ModelPass pass(*stage, {.training = true, .dropout = 0.1, .seed = 7, .step = 3, .observe = {}},
                 /*z_loss=*/1e-4);
  const PassTotals totals =
      pipeline.train(pass, micro_batches(golden, world.mesh().size(Axis::kData), world.here().data));
  const StepTotals step =
      GradientSync(world.along(Axis::kData)).reduce(parameters, totals.loss, totals.tokens);
  return {step.loss, parameters.empty() ? at::Tensor() : rows.grad().cpu()};
}

TEST_P(NcclModel, TrainsAsOneHostDoes) {
  World alone = solo_world(), world = devices();
  const Trained expected = train(golden_, one(), alone, at::kCPU);
  const Trained found = train(golden_, layout(), world, device());
  EXPECT_NEAR(found.loss / expected.loss, 1.0, kTolerance);
  if (found.gradient.defined()) {
    EXPECT_LT(relative_error(found.gradient, expected.gradient), kTolerance);
  }
}

TEST_P(NcclModel, DecodesWhatTheReferenceDoes) {
  World world = devices();
  const auto stage = stage_of(golden_, layout(), world, device());
  FixedPrompt prompt(golden_.stored("prompt").to(device()));
  stage->attach_input(&prompt);
  Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, stage->decodes()});
  ModelPass pass(*stage, {}, 0.0);
  TokenRows found;
  for (const TokenRows& rows : pipeline.generate(pass, micro_batches(golden_, 1, 0), {12, stage->eos_id()}))
    found.insert(found.end(), rows.begin(), rows.end());
  const TokenRows all = golden_.generated();
  EXPECT_EQ(found, TokenRows(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(found.size())));
}

TEST_P(NcclModel, RanksAsOneHostDoes) {
  const CandidateWalk walk({{4, 7}, {5}, {4, 2, 9}, {6, 7}, {4, 2, 11}});
  const auto rank = [&](const Layout& layout, World& world, at::Device device) {
    const auto stage = stage_of(golden_, layout, world, device);
    Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, stage->decodes()});
    ModelPass pass(*stage, {}, 0.0);
    return pipeline.rank(pass, micro_batches(golden_, 1, 0), walk);
  };
  World alone = solo_world(), world = devices();
  const auto expected = rank(one(), alone, at::kCPU), found = rank(layout(), world, device());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_THAT(found[i], testing::Pointwise(testing::FloatNear(2e-3F), expected[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(Layouts, NcclModel,
                         testing::Combine(testing::Values("t5_depth", "llama_tied"),
                                          testing::Values("pp2", "tp2", "pp4", "tp2_pp2")),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + std::get<1>(test.param);
                         });

}  // namespace
}  // namespace trimtab::test
