// SPDX-License-Identifier: Apache-2.0
//
// Models of all families over meshes of threads against one rank (mesh_step.h). And faults that must show.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "models/mesh_step.h"

namespace trimtab::test {
namespace {

class ModelPipeline : public testing::TestWithParam<Layout> {};

TEST_P(ModelPipeline, LossAndGradientsAreThoseOfOneRank) {
  for (const std::string& name : golden_cases()) {
    const GoldenCase golden(name);
    if (!fits(golden, GetParam())) continue;
    for (const Setting& setting : kSettings) {
      const Expected expected = on_one_rank(golden, setting);
      run_ranks(GetParam().mesh, [&](World& world) {
        SCOPED_TRACE(fmt::format("{} {}", name, setting.text()));
        expect_step(expected, golden, GetParam(), setting, world);
      });
    }
  }
}

TEST_P(ModelPipeline, GreedyPredictionsAreThoseOfTheReference) {
  for (const std::string& name : golden_cases()) {
    const GoldenCase golden(name);
    if (!fits(golden, GetParam())) continue;
    run_ranks(GetParam().mesh, [&](World& world) {
      SCOPED_TRACE(name);
      expect_predictions(golden, GetParam(), world);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, ModelPipeline, testing::ValuesIn(layouts()),
                         [](const auto& test) { return test.param.name; });

// Passes everything on to another communicator, but for all_reduce while it is deaf.
class DeafCommunicator : public Communicator {
 public:
  explicit DeafCommunicator(Communicator& inner)
      : Communicator(inner.name(), inner.members(), inner.rank(), DeviceKind::kHost), inner_(inner) {}
  bool deaf = false;

 private:
  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override {
    if (!deaf) inner_.all_reduce(buffer, op, traffic);
  }
  void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                         Traffic traffic) override {
    inner_.reduce_scatter(in, out, parts, op, traffic);
  }
  void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) override {
    inner_.all_gather(in, out, parts, traffic);
  }
  void do_broadcast(const Buffer& buffer, int root, Traffic traffic) override {
    inner_.broadcast(buffer, root, traffic);
  }
  void do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) override {
    inner_.exchange(sends, receives, traffic);
  }
  void do_barrier(Traffic traffic) override { inner_.barrier(traffic); }

  Communicator& inner_;
};

// A pass with a hook before forward and one after the loss.
class HookedPass : public ModelPass {
 public:
  HookedPass(ModelStage& stage, const ForwardContext& context, std::function<void(StageIO&)> before,
             std::function<void()> after)
      : ModelPass(stage, context, kZLoss), before_(std::move(before)), after_(std::move(after)) {}
  StageIO forward(StageIO in, const MicroBatch& batch) override {
    before_(in);
    return ModelPass::forward(std::move(in), batch);
  }
  LossSums loss(const StageIO& out, const MicroBatch& batch) override {
    const LossSums sums = ModelPass::loss(out, batch);
    after_();
    return sums;
  }

 private:
  std::function<void(StageIO&)> before_;
  std::function<void()> after_;
};

// Without the sum over tensor ranks in backward the loss is right and the gradient is not. Where ranks share
// the tokens, that is the sum of what their tokens give a prompt, and in model tuning the norms.
class BackwardFault : public testing::TestWithParam<std::tuple<std::string, std::string, bool>> {};

TEST_P(BackwardFault, AllReduceRemoved) {
  const GoldenCase golden(std::get<0>(GetParam()));
  const Layout& layout = layout_named(std::get<1>(GetParam()));
  const bool whole_model = std::get<2>(GetParam());
  const Setting setting{whole_model};
  const Expected expected = on_one_rank(golden, setting);
  for (const bool fault : {false, true})
    run_ranks(Mesh(1, 1, 2), [&](World& good) {
      DeafCommunicator* tensor = nullptr;
      World world(good.mesh(), good.rank(), [&](const std::vector<int>&, const std::string& name) {
        auto made =
            std::make_unique<DeafCommunicator>(name == "tensor" ? good.along(Axis::kTensor) : good.all());
        if (name == "tensor") tensor = made.get();
        return made;
      });
      ASSERT_NE(tensor, nullptr);
      const RankResult result =
          run_rank(golden, layout, setting, world, [&](ModelStage& stage, const ForwardContext& context) {
            return std::make_unique<HookedPass>(
                stage, context, [tensor](StageIO&) { tensor->deaf = false; },
                [tensor, fault] { tensor->deaf = fault; });
          });
      EXPECT_LT(std::abs(result.totals.loss / expected.loss - 1), kTolerance);
      std::string where;
      const double error = worst_error(result, expected, world.along(Axis::kTensor), where);
      EXPECT_EQ(error < kTolerance, !fault) << error;
      EXPECT_EQ(error > 1e-2, fault) << error << " " << where;
      if (fault && whole_model) {
        EXPECT_NE(where.find("norm"), std::string::npos) << where;
      }
    });
}

INSTANTIATE_TEST_SUITE_P(Tensor, BackwardFault,
                         testing::Values(std::tuple{"t5_11", "tp2", false},
                                         std::tuple{"t5_11", "tp2_sp", false},
                                         std::tuple{"t5_11", "tp2_sp", true},
                                         std::tuple{"llama_tied", "tp2_sp", false},
                                         std::tuple{"llama_tied", "tp2_sp", true}));

// Ranks that share the tokens receive their own from the stage before, and all of them for decoding.
TEST(SequenceParallel, TokensAreSharedOut) {
  for (const std::string name : {"t5_depth", "llama_tied"}) {
    const GoldenCase golden(name);
    const MicroBatch batch = golden.batch();
    std::map<bool, std::vector<StageShape>> received;  // by whether they share
    std::mutex mutex;
    for (const bool split : {false, true})
      run_ranks(Mesh(1, 2, 2), [&](World& world) {
        Layout layout = layout_named("tp2_pp2_sp");
        layout.sequence_parallel = split;
        const auto stage = stage_of(golden, layout, world);
        if (world.here().pipe == 0) return;
        const StageShape whole = stage->prefill_shape(batch);
        const std::lock_guard lock(mutex);
        received[split].push_back(stage->receive_shape(batch));
        EXPECT_GT(std::max(whole.encoder_tokens, whole.decoder_tokens), 8) << name << ": whole for decoding";
      });
    const auto tokens = [](const StageShape& shape) {
      return std::max<std::int64_t>(0, shape.encoder_tokens) +
             std::max<std::int64_t>(0, shape.decoder_tokens);
    };
    const std::int64_t all = tokens(received[false][0]), one = tokens(received[true][0]),
                       other = tokens(received[true][1]);
    EXPECT_EQ(one + other, all) << name;
    EXPECT_LE(std::abs(one - other), 2) << name;
  }
}

// A stage that does not return the gradient of the encoder states it read: the loss is right, the gradient is
// not.
TEST(PipelineFault, EncoderSlotGradientDropped) {
  const GoldenCase golden("t5_depth");
  const Setting setting;
  const Expected expected = on_one_rank(golden, setting);
  const Layout layout{"pp3", Mesh(1, 3, 1), in_both};
  for (const bool fault : {false, true})
    run_ranks(layout.mesh, [&](World& world) {
      const bool here = fault && world.here().pipe == 2;
      const RankResult result =
          run_rank(golden, layout, setting, world, [&](ModelStage& stage, const ForwardContext& context) {
            return std::make_unique<HookedPass>(
                stage, context,
                [here](StageIO& in) {
                  if (here) in.encoder = in.encoder.detach();
                },
                [] {});
          });
      EXPECT_LT(std::abs(result.totals.loss / expected.loss - 1), kTolerance);
      if (world.here().pipe != 0) return;
      std::string where;
      const double error = worst_error(result, expected, world.along(Axis::kTensor), where);
      EXPECT_EQ(error < kTolerance, !fault) << error;
      EXPECT_EQ(error > 1e-3, fault) << error;
    });
}

// Tables that live on two stages and are not summed: each stage then has only its own part of the gradient.
class SharedTable : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(SharedTable, MustBeSummed) {
  const GoldenCase golden(GetParam().first);
  const std::string& table = GetParam().second;
  const Layout layout{"pp2", Mesh(1, 2, 1), between};
  const Expected expected = on_one_rank(golden, {true, 0.0, true});
  for (const bool fault : {false, true})
    run_ranks(layout.mesh, [&](World& world) {
      const RankResult result = run_rank(golden, layout, {true, 0.0, !fault}, world);
      std::string where;
      const double error = worst_error(result, expected, world.along(Axis::kTensor), where);
      EXPECT_EQ(error < kTolerance, !fault) << error;
      EXPECT_EQ(where == table && error > 1e-2, fault) << where << " " << error;
    });
}

INSTANTIATE_TEST_SUITE_P(Families, SharedTable,
                         testing::Values(std::pair{"t5_10", "shared.weight"},
                                         std::pair{"llama_tied", "model.embed_tokens.weight"}));

}  // namespace
}  // namespace trimtab::test
