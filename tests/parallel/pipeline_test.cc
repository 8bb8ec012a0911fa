// SPDX-License-Identifier: Apache-2.0
//
// The pipeline over a toy model, against the same stages one behind the other in one graph: every cut,
// schedule, number of micro-batches, and stage from which on weights are trained. Ranks are threads that
// buffer nothing.
#include "parallel/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parallel/toy_stage.h"
#include "runtime/world.h"

namespace trimtab::test {
namespace {

using testing::HasSubstr;

std::vector<MicroBatch> toy_batches(int count) {
  std::vector<MicroBatch> batches;
  for (int i = 0; i < count; ++i) batches.push_back(toy_batch(i));
  return batches;
}

struct Result {
  double loss = 0;
  std::vector<at::Tensor> gradients;  // by stage
};

Result in_one_graph(int stages, int first_decoding, int first_trained,
                    const std::vector<MicroBatch>& batches) {
  std::vector<ToyStage> all;
  for (int s = 0; s < stages; ++s) {
    all.emplace_back(s, first_decoding);
    all.back().weight.set_requires_grad(s >= first_trained);
  }
  Result result;
  for (const MicroBatch& batch : batches) {
    StageIO io;
    for (ToyStage& stage : all) io = stage.forward(io, batch);
    const LossSums sums = all.back().loss(io, batch);
    sums.loss.backward();
    result.loss += sums.loss.item<double>();
  }
  for (const ToyStage& stage : all) result.gradients.push_back(stage.weight.grad());
  return result;
}

TEST(Pipeline, GradientsOfEveryCutAreThoseOfOneGraph) {
  for (int stages = 1; stages <= 4; ++stages)
    for (int first_decoding = 0; first_decoding < stages; ++first_decoding)
      for (int first_trained = 0; first_trained < stages; ++first_trained)
        for (const int count : {1, 2, 5})
          for (const char* schedule : {"1f1b", "gpipe"}) {
            const std::vector<MicroBatch> batches = toy_batches(count);
            const Result expected = in_one_graph(stages, first_decoding, first_trained, batches);
            run_ranks(Mesh(1, stages, 1), [&](World& world) {
              const int here = world.here().pipe;
              ToyStage stage(here, first_decoding);
              const bool trains = here >= first_trained;
              stage.weight.set_requires_grad(trains);
              Pipeline pipeline(world.along(Axis::kPipe), {schedule, trains, here >= first_decoding});
              EXPECT_EQ(pipeline.first_trained(), first_trained);
              const PassTotals totals = pipeline.train(stage, batches);
              EXPECT_DOUBLE_EQ(totals.loss, expected.loss);
              EXPECT_EQ(totals.losses.size(), batches.size());
              const at::Tensor& wanted = expected.gradients[static_cast<std::size_t>(here)];
              ASSERT_EQ(stage.weight.grad().defined(), wanted.defined());
              if (!wanted.defined()) return;
              EXPECT_TRUE(at::allclose(stage.weight.grad(), wanted, 1e-6, 1e-7))
                  << schedule << " " << stages << " stages, decoder from " << first_decoding
                  << ", trained from " << first_trained << ", " << count << " micro-batches, stage " << here;
            });
          }
}

TEST(Pipeline, EvaluationGivesTheLossAndNoGradient) {
  const std::vector<MicroBatch> batches = toy_batches(4);
  const double expected = in_one_graph(3, 1, 0, batches).loss;
  std::int64_t tokens = 0;
  for (const MicroBatch& batch : batches) tokens += batch.decoder.tokens();
  run_ranks(Mesh(1, 3, 1), [&](World& world) {
    const int here = world.here().pipe;
    ToyStage stage(here, 1);
    stage.weight.set_requires_grad(true);
    Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", true, here >= 1});
    const PassTotals totals = pipeline.evaluate(stage, batches);
    EXPECT_DOUBLE_EQ(totals.loss, expected);
    EXPECT_EQ(totals.tokens, tokens);
    EXPECT_FALSE(stage.weight.grad().defined());
  });
}

// Only activations travel, once for each boundary and slot; their gradients only where something is trained.
TEST(Pipeline, CountsWhatTravels) {
  const std::vector<MicroBatch> batches = toy_batches(3);
  std::int64_t encoder = 0, decoder = 0;
  for (const MicroBatch& batch : batches) {
    encoder += batch.encoder.tokens() * kToyWidth * 4;
    decoder += batch.decoder.tokens() * kToyWidth * 4;
  }
  for (const int first_trained : {0, 1, 3})
    run_ranks(Mesh(1, 3, 1), [&](World& world) {
      const int here = world.here().pipe;
      ToyStage stage(here, 1);
      const bool trains = here >= first_trained;
      stage.weight.set_requires_grad(trains);
      Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", trains, here >= 1});
      pipeline.train(stage, batches);
      const std::int64_t forward[] = {encoder, encoder + decoder, 0};
      std::int64_t expected = forward[here];
      if (here == 1 && first_trained == 0) expected += encoder;
      if (here == 2 && first_trained <= 1) expected += encoder + decoder;
      EXPECT_EQ(world.traffic()[Traffic::kPipeline].bytes, expected)
          << "stage " << here << ", " << first_trained;
      EXPECT_EQ(world.traffic()[Traffic::kGradient].bytes, 0);
    });
}

// The decoders of all stages, one behind the other.
class InOnePlace {
 public:
  InOnePlace(int stages, int first_decoding, const MicroBatch& batch, std::int64_t max_tokens) {
    StageIO io;
    for (int s = 0; s < stages; ++s) {
      ToyStage stage(s, first_decoding);
      Prefill done = stage.prefill(io, batch, max_tokens);
      io = done.out;
      if (done.decoder) decoders_.push_back(std::move(done.decoder));
    }
  }
  StageDecoder& first() const { return *decoders_.front(); }
  StageDecoder& last() const { return *decoders_.back(); }
  at::Tensor step(at::Tensor x) const {
    for (const auto& decoder : decoders_) x = decoder->step(x);
    return x;
  }

 private:
  std::vector<std::unique_ptr<StageDecoder>> decoders_;
};

std::vector<TokenRows> decoded_in_one_place(int stages, int first_decoding,
                                            const std::vector<MicroBatch>& batches, std::int64_t max_tokens) {
  std::vector<TokenRows> out;
  for (const MicroBatch& batch : batches) {
    const InOnePlace decoder(stages, first_decoding, batch, max_tokens);
    GreedyRows rows(batch.rows(), kToyEos);
    at::Tensor ids = decoder.first().first_ids();
    for (std::int64_t t = 0; t < max_tokens && !rows.done(); ++t) {
      ids = decoder.last().most_likely(decoder.step(ids));
      rows.add(ids);
    }
    out.push_back(rows.found());
  }
  return out;
}

TEST(Pipeline, DecodesTheSameThroughAnyCut) {
  bool some_end_early = false, some_do_not = false;
  for (int stages = 1; stages <= 5; ++stages)
    for (int first_decoding = 0; first_decoding < stages; ++first_decoding)
      for (const int count : {1, 2, 3, 7})
        for (const std::int64_t max_tokens : {0, 1, 2, 9}) {
          const std::vector<MicroBatch> batches = toy_batches(count);
          const auto expected = decoded_in_one_place(stages, first_decoding, batches, max_tokens);
          for (const TokenRows& rows : expected)
            for (const auto& row : rows)
              (static_cast<std::int64_t>(row.size()) < max_tokens ? some_end_early : some_do_not) = true;
          run_ranks(Mesh(1, stages, 1), [&](World& world) {
            const int here = world.here().pipe;
            ToyStage stage(here, first_decoding);
            Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, here >= first_decoding});
            EXPECT_EQ(pipeline.generate(stage, batches, {max_tokens, kToyEos}), expected)
                << stages << " stages, decoder from " << first_decoding << ", " << count << " micro-batches, "
                << max_tokens << " tokens, stage " << here;
          });
        }
  EXPECT_TRUE(some_end_early && some_do_not);
}

// Each candidate by itself, from the beginning.
std::vector<std::vector<float>> ranked_in_one_place(
    int stages, int first_decoding, const std::vector<MicroBatch>& batches,
    const std::vector<std::vector<std::int32_t>>& candidates) {
  std::vector<std::vector<float>> out;
  for (const MicroBatch& batch : batches) {
    at::Tensor all = at::zeros({batch.rows(), static_cast<std::int64_t>(candidates.size())}, at::kFloat);
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      const InOnePlace decoder(stages, first_decoding, batch, 9);
      at::Tensor read = decoder.first().first_ids();
      for (const std::int64_t token : candidates[c]) {
        const at::Tensor asked = at::full({1}, token, at::kLong);
        all.select(1, static_cast<std::int64_t>(c))
            .add_(decoder.last().log_likelihoods(decoder.step(read), asked).squeeze(1));
        read = asked.expand({batch.rows()});
      }
    }
    out.emplace_back(all.const_data_ptr<float>(), all.const_data_ptr<float>() + all.numel());
  }
  return out;
}

TEST(Pipeline, RanksTheSameThroughAnyCut) {
  const std::vector<std::vector<std::int32_t>> candidates = {{4, 7}, {5}, {4, 2, 9}, {6, 7}, {4, 2, 1}};
  for (int stages = 1; stages <= 5; ++stages)
    for (int first_decoding = 0; first_decoding < stages; ++first_decoding)
      for (const int count : {1, 2, 3, 7}) {
        const std::vector<MicroBatch> batches = toy_batches(count);
        const auto expected = ranked_in_one_place(stages, first_decoding, batches, candidates);
        run_ranks(Mesh(1, stages, 1), [&](World& world) {
          const int here = world.here().pipe;
          ToyStage stage(here, first_decoding);
          Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, here >= first_decoding});
          const auto found = pipeline.rank(stage, batches, CandidateWalk(candidates));
          ASSERT_EQ(found.size(), expected.size());
          for (std::size_t i = 0; i < found.size(); ++i)
            EXPECT_THAT(found[i], testing::Pointwise(testing::FloatNear(1e-3F), expected[i]))
                << stages << " stages, decoder from " << first_decoding << ", micro-batch " << i << " of "
                << count << ", stage " << here;
        });
      }
}

TEST(Pipeline, RefusesStagesInTheWrongOrderAndUnknownSchedules) {
  const auto message = [](const std::vector<bool>& decodes, const std::string& schedule) -> std::string {
    try {
      run_ranks(Mesh(1, 3, 1), [&](World& world) {
        Pipeline(world.along(Axis::kPipe),
                 {schedule, true, decodes[static_cast<std::size_t>(world.here().pipe)]});
      });
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message({false, true, false}, "1f1b"),
              HasSubstr("stage 1 decodes, but stage 2 behind it does not"));
  EXPECT_THAT(message({false, false, true}, "1f2b"), HasSubstr("unknown pipeline schedule '1f2b'"));
  EXPECT_EQ(message({false, false, true}, "gpipe"), "no error");
}

// A stage that throws ends the others' waits.
TEST(Pipeline, AStageThatFailsEndsAll) {
  class Failing : public ToyStage {
   public:
    using ToyStage::ToyStage;
    StageIO forward(StageIO io, const MicroBatch& batch) override {
      if (++calls_ == 2) fail("the second micro-batch is bad");
      return ToyStage::forward(std::move(io), batch);
    }

   private:
    int calls_ = 0;
  };
  try {
    run_ranks(Mesh(1, 3, 1), [&](World& world) {
      const int here = world.here().pipe;
      Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", true, here >= 1});
      ToyStage good(here, 1);
      Failing bad(here, 1);
      good.weight.set_requires_grad(true);
      bad.weight.set_requires_grad(true);
      pipeline.train(here == 1 ? static_cast<PipelineStage&>(bad) : good, toy_batches(4));
    });
    FAIL() << "no error";
  } catch (const RankFailure& failure) {
    EXPECT_EQ(failure.rank(), 1);
    EXPECT_THAT(failure.what(), HasSubstr("the second micro-batch is bad"));
  }
}

}  // namespace
}  // namespace trimtab::test
