// SPDX-License-Identifier: Apache-2.0
//
// Ranks whose stages are on devices, over communicators that take device and host memory apart as NCCL and
// MPI do: what crosses ranks in training, decoding, ranking and in what is saved is of one kind of memory on
// both sides, and comes to the same as on one host.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <map>

#include "models/fake_device.h"
#include "models/mesh_step.h"
#include "parallel/gather_slices.h"
#include "parallel/optimizer.h"
#include "parallel/pipeline.h"
#include "parallel/shard_sums.h"
#include "parallel/shared_by_stages.h"
#include "runtime/stand_in_nccl.h"

namespace trimtab::test {
namespace {

constexpr double kDeviceTolerance = 1e-4;

// What rank 0 gathers after a step: values, gradients as values of that name, and the optimizer's state.
struct Result {
  StepTotals totals;
  std::map<std::string, at::Tensor> tensors;
};

void train(const GoldenCase& golden, const Layout& layout, World& world, at::Device device, Result& result) {
  at::set_num_threads(1);
  const auto stage = stage_of(golden, layout, world, device);
  Parameters parameters = stage->trainable_base();
  Communicator& pipe = world.along(Axis::kPipe);
  Pipeline pipeline(pipe, {layout.schedule, !parameters.empty(), stage->decodes()});
  ModelPass pass(*stage, {.training = true, .dropout = 0.1, .seed = 7, .step = 3, .observe = {}},
                 /*z_loss=*/1e-4);
  const PassTotals totals =
      pipeline.train(pass, micro_batches(golden, world.mesh().size(Axis::kData), world.here().data));
  SharedByStages shared(parameters, pipe);
  shared.sum(parameters);
  ShardSums sums(parameters, shared, world.along(Axis::kTensor), pipe);
  const StepTotals step =
      GradientSync(world.along(Axis::kData), &sums).reduce(parameters, totals.loss, totals.tokens);
  const auto optimizer = make_optimizer({}, &sums);
  optimizer->step(parameters, 0.1);
  std::erase_if(parameters, [&](const Parameter& parameter) { return !sums.counts_here(parameter); });
  std::vector<NamedSlice> slices = optimizer->state(parameters).tensors;
  for (const Parameter& parameter : parameters) {
    EXPECT_EQ(parameter.value().device(), device) << parameter.name;
    slices.push_back({parameter.name, parameter.value(), parameter.cut});
    slices.push_back({"gradient." + parameter.name, parameter.grad(), parameter.cut});
  }
  if (world.here().data != 0) return;
  gather_slices(world, slices, [&](const std::string& name, const at::Tensor& whole) {
    EXPECT_TRUE(whole.is_cpu()) << name;
    result.tensors[name] = whole.clone();
  });
  if (world.rank() == 0) result.totals = step;
}

class DeviceRanks : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  const Layout& layout() const { return layout_named(std::get<1>(GetParam())); }
  void on_devices(const std::function<void(World&, at::Device)>& body) {
    run_ranks(layout().mesh, [&](World& host) {
      World world = world_of_devices(host);
      body(world, fake_device(world.rank()));
    });
  }
  GoldenCase golden_{std::get<0>(GetParam())};
};

TEST_P(DeviceRanks, TrainAndSaveWhatOneHostDoes) {
  Result expected, found;
  World alone = solo_world();
  train(golden_, {"one", Mesh(), whole}, alone, at::kCPU, expected);
  on_devices([&](World& world, at::Device device) { train(golden_, layout(), world, device, found); });
  EXPECT_NEAR(found.totals.loss / expected.totals.loss, 1.0, kDeviceTolerance);
  EXPECT_NEAR(found.totals.gradient_norm / expected.totals.gradient_norm, 1.0, kDeviceTolerance);
  for (const auto& [name, wanted] : expected.tensors) {
    ASSERT_TRUE(found.tensors.contains(name)) << name;
    EXPECT_LT(relative_error(found.tensors[name], wanted), 20 * kDeviceTolerance) << name;
  }
}

// The bodies that ranks with GPUs run, too (tests/gpu/nccl_model_test.cc).
TEST_P(DeviceRanks, StepAsOneHostDoes) {
  for (const Setting& setting : kSettings) {
    SCOPED_TRACE(setting.text());
    const Expected expected = on_one_rank(golden_, setting);
    on_devices([&](World& world, at::Device device) {
      Setting here = setting;
      here.device = device;
      here.tolerance = kDeviceTolerance;
      expect_step(expected, golden_, layout(), here, world);
    });
  }
}

TEST_P(DeviceRanks, DecodeWhatTheReferenceDoes) {
  on_devices([&](World& world, at::Device device) { expect_predictions(golden_, layout(), world, device); });
}

TEST_P(DeviceRanks, RankAsOneHostDoes) {
  const CandidateWalk walk({{4, 7}, {5}, {4, 2, 9}, {6, 7}, {4, 2, 11}});
  const auto rank = [&](const Layout& layout, World& world, at::Device device) {
    at::set_num_threads(1);
    const auto stage = stage_of(golden_, layout, world, device);
    Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, stage->decodes()});
    ModelPass pass(*stage, {}, 0.0);
    return pipeline.rank(pass, micro_batches(golden_, 1, 0), walk);
  };
  World alone = solo_world();
  const auto expected = rank({"one", Mesh(), whole}, alone, at::kCPU);
  on_devices([&](World& world, at::Device device) {
    const auto found = rank(layout(), world, device);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_THAT(found[i], testing::Pointwise(testing::FloatNear(2e-4F), expected[i])) << i;
  });
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, DeviceRanks,
    testing::Combine(testing::Values("t5_depth", "llama_tied"),
                     testing::Values("pp2", "pp3_uneven", "pp4", "tp2", "tp2_pp2", "dp2_pp2", "tp2_pp2_sp")),
    [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param); });

// What the communicator is for: without it the ranks would wait for each other.
TEST(StandInNccl, RefusesHostMemoryThatMeetsADevices) {
  const auto message_of = [](const std::function<void(World&)>& body) -> std::string {
    try {
      run_ranks(Mesh(1, 2, 1), [&](World& host) {
        World world = world_of_devices(host);
        body(world);
      });
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  std::array<std::int32_t, 2> words{};
  const auto word = [&](World& world, DeviceKind kind) {
    return Buffer{&words.at(static_cast<std::size_t>(world.rank())), 1, DType::kInt32, kind};
  };
  EXPECT_THAT(
      message_of([&](World& world) {
        Communicator& pipe = world.along(Axis::kPipe);
        if (world.rank() == 0)
          pipe.exchange(std::vector<Send>{{1, word(world, DeviceKind::kHost)}}, {}, Traffic::kPipeline);
        else
          pipe.exchange({}, std::vector<Receive>{{0, word(world, DeviceKind::kCuda)}}, Traffic::kPipeline);
      }),
      testing::HasSubstr("rank 1 took CUDA memory, but rank 0 host memory"));
  EXPECT_THAT(message_of([&](World& world) {
                const DeviceKind kind = world.rank() == 0 ? DeviceKind::kHost : DeviceKind::kCuda;
                world.along(Axis::kPipe).all_reduce(word(world, kind), ReduceOp::kSum, Traffic::kControl);
              }),
              testing::HasSubstr("all_reduce on 'pipe'"));
}

}  // namespace
}  // namespace trimtab::test
