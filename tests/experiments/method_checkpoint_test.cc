// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of every tuning method, from one mesh to another: what four ranks saved is what one rank reads,
// and the other way round, the results of trained networks included.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <tuple>

#include "experiments/base_hash.h"
#include "experiments/checkpoint.h"
#include "experiments/merged_model.h"
#include "models/golden_case.h"
#include "models/mesh_case.h"
#include "models/method_variants.h"
#include "models/methods/initial_values.h"
#include "models/methods/tuning_method.h"
#include "parallel/shared_by_stages.h"
#include "runtime/random.h"

namespace trimtab::test {
namespace {

using OnLayout = std::tuple<Variant, Layout>;

class MethodCheckpoint : public testing::TestWithParam<OnLayout> {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return (folder_ / "run.h5").string(); }

 private:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("trimtab-method-checkpoint-" + std::get<0>(GetParam()).name + "-" + std::get<1>(GetParam()).name);
};

// A method on this rank's stage, with values that are the same on every mesh but no initial ones.
struct Attached {
  Attached(const GoldenCase& golden, const Layout& layout, const Variant& variant, World& world)
      : stage(stage_of(golden, layout, world)) {
    Subtree options = Subtree::parse(fitted(variant, *stage), "method");
    method = make_method(options);
    MethodContext context;
    context.pieces = 20;
    context.encode = [](const std::string&) { return std::vector<std::int32_t>{5}; };
    context.places = variant.places;
    parameters = method->attach(*stage, context);
  }
  void move() {
    const c10::NoGradGuard no_grad;
    for (const Parameter& parameter : parameters) {
      at::Tensor noise = at::empty(whole_shape(parameter), at::kFloat);
      fill_normal(RandomStream(3, Purpose::kTest, number_of(parameter.name)), 0,
                  static_cast<std::size_t>(noise.numel()), noise.data_ptr<float>());
      parameter.value().add_(slab_of(noise, parameter.cut, stage->tensor_ranks()), 0.1);
    }
  }
  std::unique_ptr<ModelStage> stage;
  std::unique_ptr<TuningMethod> method;
  Parameters parameters;
};

CheckpointShare share_of_rank(World& world, const Parameters& all, const Parameters& own) {
  CheckpointShare share;
  share.tensor_rank = world.here().tensor;
  share.tensor_ranks = world.mesh().size(Axis::kTensor);
  for (const Parameter& parameter : all) share.elsewhere.insert(parameter.name);
  for (const Parameter& parameter : own) share.elsewhere.erase(parameter.name);
  return share;
}

TEST_P(MethodCheckpoint, GoesFromMeshToMesh) {
  const Variant& variant = std::get<0>(GetParam());
  const Layout& many = std::get<1>(GetParam());
  const Layout one{"one", Mesh(), whole};
  for (const std::string name : {"t5_depth", "qwen3"}) {
    SCOPED_TRACE(name);
    const GoldenCase golden(name);
    if (!runs_on(variant, golden) || !fits(golden, many)) continue;
    World solo = solo_world();
    Attached alone(golden, one, variant, solo);
    alone.move();
    save_checkpoint(solo, path(), {}, alone.parameters, nullptr, alone.method->results());
    const Checkpoint of_one(path());
    // Every rank reads its share of what one rank saved, and they save it again.
    run_ranks(many.mesh, [&](World& world) {
      Attached here(golden, many, variant, world);
      of_one.load_values(here.parameters, share_of_rank(world, alone.parameters, here.parameters));
      // What several stages hold is saved by the first of them.
      const SharedByStages shared(here.parameters, world.along(Axis::kPipe));
      Parameters counted = here.parameters;
      std::erase_if(counted, [&](const Parameter& parameter) { return !shared.counts_here(parameter.name); });
      save_checkpoint(world, path() + ".many", {}, counted, nullptr, here.method->results());
    });
    const Checkpoint of_many(path() + ".many");
    EXPECT_EQ(of_many.values(), of_one.values());
    EXPECT_EQ(of_many.results(), of_one.results());
    for (const std::string& value : of_one.values())
      EXPECT_TRUE(of_many.value(value).equal(of_one.value(value))) << value;
    for (const std::string& result : of_one.results())
      EXPECT_LT(relative_error(of_many.result(result), of_one.result(result)), 1e-5) << result;
    EXPECT_EQ(of_one.results() != of_one.values(), !alone.method->results().empty());
  }
}

INSTANTIATE_TEST_SUITE_P(All, MethodCheckpoint,
                         testing::Combine(testing::ValuesIn(variants()), testing::ValuesIn(layouts())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name;
                         });

// A model of its own computes what base and method do together.
TEST(MergedModel, ComputesTheSame) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "trimtab-merged-model";
  std::filesystem::create_directories(folder);
  const Layout one{"one", Mesh(), whole};
  for (const char* name : {"t5_10", "t5_11", "qwen2", "llama_inner"})
    for (const char* yaml : {"{name: lora, rank: 2, alpha: 6, dropout: 0}",
                             "{name: ia3, targets: [], feed_forward: []}", "{name: model_tuning}"}) {
      SCOPED_TRACE(fmt::format("{} {}", name, yaml));
      const GoldenCase golden(name);
      World world = solo_world();
      Attached tuned(golden, one, {"merged", yaml}, world);
      tuned.move();
      CheckpointInfo info;
      info.method = Subtree::parse(yaml, "method").name();
      info.config = fmt::format("method: {}\n", yaml);
      info.weights = golden.model().weights().path();
      info.base_hash = weights_hash(golden.model().weights());
      save_checkpoint(world, (folder / "run.h5").string(), info, tuned.parameters, nullptr);
      const c10::NoGradGuard no_grad;
      const MicroBatch batch = golden.batch(0, 4);
      const auto loss = [&](ModelStage& stage) {
        return stage.loss(stage.forward({}, batch, {}), batch, 1e-4).loss.item<double>();
      };
      const double expected = loss(*tuned.stage);
      for (const char* out : {"merged.h5", "merged"}) {
        merge_trained({(folder / "run.h5").string(), (folder / out).string(), golden.folder()});
        const auto merged = open_model((folder / out).string());
        const auto stage = merged->make_stage(world, {{0, golden.layers()}});
        EXPECT_NEAR(loss(*stage) / expected, 1.0, 1e-5) << out;
      }
      EXPECT_GT(std::abs(loss(*golden.stage(world)) / expected - 1.0), 1e-4);
      std::filesystem::remove_all(folder / "merged");
    }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace trimtab::test
