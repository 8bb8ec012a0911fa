// SPDX-License-Identifier: Apache-2.0
#include "parallel/shard_sums.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "optimizer_fixture.h"
#include "parallel/gather_slices.h"
#include "parallel/gradient_sync.h"
#include "parallel/optimizer.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

constexpr int kSteps = 5;

struct Whole {
  std::string name;
  std::vector<std::int64_t> shape;
  Cut cut;
  std::set<int> stages;
};

// Matrices that are factored and one that is not, cut along either dim, one that no rank shares, and a table
// that both stages hold.
const std::vector<Whole>& model() {
  static const std::vector<Whole> all = {{"rows", {16, 10}, {0, 16, 2}, {0}},
                                         {"columns", {12, 20}, {1, 20}, {1}},
                                         {"small", {4, 2}, {0, 4}, {1}},
                                         {"norm", {24}, kWhole, {0}},
                                         {"table", {20, 9}, {0, 20}, {0, 1}}};
  return all;
}

at::Tensor gradient_of(const Whole& whole, int step) {
  return random_values(whole.shape, static_cast<std::uint64_t>(step) * 31 + whole.name.size(), 1.0);
}

at::Tensor slab_of(const at::Tensor& whole, const Cut& cut, Communicator& tensor) {
  if (cut == kWhole) return whole.clone();
  const Share own = share_of(cut, tensor);
  return whole.narrow(cut.dim, own.begin, own.count).clone();
}

OptimizerConfig config() {
  OptimizerConfig out;
  out.parameter_scaling = true;
  out.global_norm_clip = 5.0;
  out.min_dim_size_to_factor = 8;
  return out;
}

// What came of kSteps steps, put together again.
struct Result {
  std::map<std::string, at::Tensor> tensors;  // values and optimizer state
  double norm = 0;                            // of the last step's gradients
};

Result train(const Mesh& mesh, bool summed = true) {
  Result result;
  run_ranks(mesh, [&](World& world) {
    Communicator& tensor = world.along(Axis::kTensor);
    Communicator& pipe = world.along(Axis::kPipe);
    std::vector<Whole> own;
    Parameters parameters;
    for (const Whole& whole : model()) {
      if (pipe.size() > 1 && !whole.stages.contains(pipe.rank())) continue;
      own.push_back(whole);
      const at::Tensor start = random_values(whole.shape, whole.name.size(), 1.0);
      parameters.push_back({whole.name, slab_of(start, whole.cut, tensor), 0, -1, whole.cut});
    }
    SharedByStages shared(parameters, pipe);
    ShardSums sums(parameters, shared, tensor, pipe);
    GradientSync sync(world.along(Axis::kData), &sums);
    const auto optimizer = make_optimizer(config(), summed ? &sums : nullptr);
    double norm = 0;
    for (int step = 0; step < kSteps; ++step) {
      for (std::size_t i = 0; i < own.size(); ++i)
        set_gradient(parameters[i], slab_of(gradient_of(own[i], step), own[i].cut, tensor));
      norm = sync.reduce(parameters, 1.0, 1).gradient_norm;
      optimizer->step(parameters, 0.3);
    }
    std::erase_if(parameters, [&](const Parameter& parameter) { return !sums.counts_here(parameter); });
    std::vector<NamedSlice> slices = optimizer->state(parameters).tensors;
    for (const Parameter& parameter : parameters)
      slices.push_back({parameter.name, parameter.value(), parameter.cut});
    std::map<std::string, at::Tensor> gathered;
    gather_slices(world, slices, [&](const std::string& name, const at::Tensor& whole) {
      EXPECT_TRUE(world.here().pipe == 0 && world.here().tensor == 0);
      EXPECT_TRUE(gathered.emplace(name, whole.clone()).second) << name << " came twice";
    });
    if (world.rank() == 0) result.tensors = gathered;
    if (world.rank() == world.mesh().size() - 1) result.norm = norm;  // the last rank's: all know it
  });
  return result;
}

class ShardSumsOn : public testing::TestWithParam<Mesh> {};

TEST_P(ShardSumsOn, StepsAreThoseOfOneRank) {
  const Result one = train(Mesh()), many = train(GetParam());
  EXPECT_NEAR(many.norm / one.norm, 1.0, 1e-6);
  ASSERT_EQ(many.tensors.size(), one.tensors.size());
  for (const auto& [name, wanted] : one.tensors) {
    ASSERT_TRUE(many.tensors.contains(name)) << name;
    const at::Tensor& found = many.tensors.at(name);
    ASSERT_EQ(found.sizes(), wanted.sizes()) << name;
    EXPECT_LT((found - wanted).abs().max().item<double>(), 1e-5 * wanted.abs().max().item<double>()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Meshes, ShardSumsOn,
                         testing::Values(Mesh(1, 1, 2), Mesh(1, 1, 3), Mesh(1, 1, 4), Mesh(1, 2, 1),
                                         Mesh(1, 2, 2)),
                         [](const auto& test) {
                           return "pipe" + std::to_string(test.param.size(Axis::kPipe)) + "_tensor" +
                                  std::to_string(test.param.size(Axis::kTensor));
                         });

// What the sums are for: a rank that takes its share for the whole steps differently.
TEST(ShardSums, WithoutThemStepsDiffer) {
  const Result one = train(Mesh());
  const at::Tensor& wanted = one.tensors.at("rows");
  for (const bool summed : {true, false}) {
    const at::Tensor found = train(Mesh(1, 1, 2), summed).tensors.at("rows");
    EXPECT_EQ((found - wanted).abs().max().item<double>() > 1e-3, !summed);
  }
}

TEST(ShardSums, PromptsSendNothing) {
  run_ranks(Mesh(1, 2, 2), [](World& world) {
    Parameters parameters;
    if (world.here().pipe == 0) {
      parameters.push_back(random_parameter("prompt", {5, 8}, 1));
      set_gradient(parameters[0], random_values({5, 8}, 2, 1.0));
    }
    SharedByStages shared(parameters, world.along(Axis::kPipe));
    ShardSums sums(parameters, shared, world.along(Axis::kTensor), world.along(Axis::kPipe));
    const TrafficCounters before = world.traffic();
    const double norm =
        GradientSync(world.along(Axis::kData), &sums).reduce(parameters, 1.0, 1).gradient_norm;
    make_optimizer(config(), &sums)->step(parameters, 0.3);
    TrafficCounters sent = world.traffic();
    sent -= before;
    EXPECT_EQ(sent[Traffic::kGradient].calls + sent[Traffic::kControl].calls, 0);
    EXPECT_EQ(norm > 0, world.here().pipe == 0);
  });
}

}  // namespace
}  // namespace trimtab
