// SPDX-License-Identifier: Apache-2.0
//
// Models whose stages and shares are on GPUs, over NCCL and MPI as in a job: the loss and all gradients of
// prompt and model tuning, greedy predictions and the ranking of candidates, against those of the reference
// and of the host, by the bodies that ranks without GPUs run (mesh_step.h). How many ranks share a GPU is as
// in nccl_test.cc.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "models/mesh_step.h"
#include "parallel/cuda_library.h"
#include "parallel/pipeline.h"
#include "runtime/mpi_test_main.h"
#include "runtime/nccl_communicator.h"

namespace trimtab::test {
namespace {

using namespace std::chrono_literals;

constexpr double kDeviceTolerance = 1e-3;

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
  const Layout& layout() const { return layout_named(std::get<1>(GetParam())); }
  World devices() const {
    return mpi_world(layout().mesh, test_session(), {.deadline = 60s}, nccl_communicators({.deadline = 60s}));
  }
  static at::Device device() { return {at::kCUDA, static_cast<at::DeviceIndex>(current_device().index)}; }
  static Layout one() { return {"one", Mesh(), whole}; }

  GoldenCase golden_{std::get<0>(GetParam())};
};

TEST_P(NcclModel, TrainsAsOneHostDoes) {
  World world = devices();
  for (Setting setting : kSettings) {
    SCOPED_TRACE(setting.text());
    const Expected expected = on_one_rank(golden_, setting);
    setting.device = device();
    setting.tolerance = kDeviceTolerance;
    expect_step(expected, golden_, layout(), setting, world);
  }
}

TEST_P(NcclModel, DecodesWhatTheReferenceDoes) {
  World world = devices();
  expect_predictions(golden_, layout(), world, device());
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
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_THAT(found[i], testing::Pointwise(testing::FloatNear(2e-3F), expected[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, NcclModel,
    testing::Combine(testing::Values("t5_depth", "llama_tied"),
                     testing::Values("dp2", "tp2", "tp2_sp", "pp2", "pp3_uneven", "pp4", "dp2_pp2", "tp2_pp2",
                                     "tp2_pp2_sp", "dp2_pp2_tp2", "dp2_pp2_tp2_sp")),
    [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param); });

}  // namespace
}  // namespace trimtab::test
