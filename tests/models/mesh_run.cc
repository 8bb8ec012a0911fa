// SPDX-License-Identifier: Apache-2.0
#include "models/mesh_run.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <cmath>
#include <utility>

#include "parallel/optimizer.h"
#include "parallel/pipeline.h"
#include "parallel/shard_sums.h"
#include "parallel/shared_by_stages.h"

namespace trimtab::test {
namespace {

constexpr std::int64_t kSteps = 20;

// For a model every sum that Adafactor takes over a whole matrix is at work: factored moments, clipping by
// RMS, scaling by the parameter's size, and the norm of all gradients.
OptimizerConfig optimizer_for(const Setting& setting) {
  OptimizerConfig config;
  config.learning_rate = 0.1;
  if (!setting.whole_model) return config;
  config.learning_rate = 0.02;
  config.min_dim_size_to_factor = 8;
  config.parameter_scaling = true;
  config.global_norm_clip = 1.0;
  // Where dropout leaves a column of a weight nothing to learn from, its gradient is a rounding error, and
  // Adafactor would make a whole step of it.
  config.epsilon1 = 1e-6;
  return config;
}

struct RankRun {
  std::vector<StepTotals> steps;
  Parameters parameters;
  TokenRows answers;  // of this replica's rows
};

RankRun run_rank_for_steps(const GoldenCase& golden, const Layout& layout, const Setting& setting,
                           World& world) {
  at::set_num_threads(1);  // as in run_rank()
  const Trainee trainee(golden, layout, setting, world);
  RankRun run{{}, trainee.parameters, {}};
  Communicator& pipe = world.along(Axis::kPipe);
  Pipeline pipeline(pipe, {layout.schedule, !run.parameters.empty(), trainee.stage->decodes()});
  SharedByStages shared(run.parameters, pipe);
  ShardSums sums(run.parameters, shared, world.along(Axis::kTensor), pipe);
  GradientSync sync(world.along(Axis::kData), &sums);
  const auto optimizer = make_optimizer(optimizer_for(setting), &sums);
  const auto batches = micro_batches(golden, world.mesh().size(Axis::kData), world.here().data);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    for (const Parameter& parameter : run.parameters) parameter.leaf.mutable_grad() = at::Tensor();
    const auto pass = plain_pass(*trainee.stage, setting.context(step));
    const PassTotals totals = pipeline.train(*pass, batches);
    shared.sum(run.parameters);
    run.steps.push_back(sync.reduce(run.parameters, totals.loss, totals.tokens));
    optimizer->step(run.parameters, optimizer->config().learning_rate);
  }
  run.answers = answers_of(*trainee.stage, golden, world);
  return run;
}

}  // namespace

Course run_on_one_rank(const GoldenCase& golden, const Setting& setting) {
  World world = solo_world();
  RankRun run = run_rank_for_steps(golden, {"one", Mesh(), whole}, setting, world);
  Course out{std::move(run.steps), {}, std::move(run.answers)};
  for (const Parameter& parameter : run.parameters) out.trained[parameter.name] = parameter.value().clone();
  return out;
}

void expect_run(const Course& expected, const GoldenCase& golden, const Layout& layout,
                const Setting& setting, World& world) {
  SCOPED_TRACE(fmt::format("rank {} of {}", world.rank(), layout.name));
  const RankRun run = run_rank_for_steps(golden, layout, setting, world);
  ASSERT_EQ(run.steps.size(), expected.steps.size());
  for (std::size_t step = 0; step < run.steps.size(); ++step) {
    const StepTotals &found = run.steps[step], &wanted = expected.steps[step];
    EXPECT_LT(std::abs(found.loss / wanted.loss - 1), setting.tolerance) << "loss of step " << step;
    EXPECT_EQ(found.tokens, wanted.tokens) << step;
    // A stage on which nothing is trained knows of no gradient.
    const double norm = run.parameters.empty() ? 0.0 : wanted.gradient_norm;
    EXPECT_LE(std::abs(found.gradient_norm - norm), setting.tolerance * norm)
        << "gradient norm of step " << step;
  }
  for (const Parameter& parameter : run.parameters) {
    const at::Tensor& wanted = expected.trained.at(parameter.name);
    const at::Tensor part = slab_of(wanted, parameter.cut, world.along(Axis::kTensor));
    EXPECT_LT((parameter.value() - part).abs().max().item<double>(),
              setting.tolerance * wanted.abs().max().item<double>())
        << parameter.name;
  }
  EXPECT_EQ(run.answers, replica_rows(expected.answers, world.mesh().size(Axis::kData), world.here().data));
}

}  // namespace trimtab::test
