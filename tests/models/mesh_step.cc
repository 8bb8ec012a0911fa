// SPDX-License-Identifier: Apache-2.0
#include "models/mesh_step.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "parallel/pipeline.h"
#include "parallel/shared_by_stages.h"
#include "runtime/agreement.h"

namespace trimtab::test {

std::unique_ptr<PipelineStage> plain_pass(ModelStage& stage, const ForwardContext& context) {
  return std::make_unique<ModelPass>(stage, context, kZLoss);
}

Trainee::Trainee(const GoldenCase& golden, const Layout& layout, const Setting& setting, World& world)
    : prompt(golden.stored("prompt").to(setting.device).set_requires_grad(true)),
      stage(stage_of(golden, layout, world, setting.device)) {
  if (setting.whole_model) {
    parameters = stage->trainable_base();
    return;
  }
  stage->attach_input(&prompt);  // everywhere, since layouts depend on it
  if (stage->embeds_input()) parameters = {{"prompt", prompt.rows(0)}};
}

RankResult run_rank(const GoldenCase& golden, const Layout& layout, const Setting& setting, World& world,
                    const PassMaker& make_pass) {
  at::set_num_threads(1);  // of this rank's thread: ranks that share the processors only wait for each other
  const Trainee trainee(golden, layout, setting, world);
  RankResult result{{}, trainee.parameters};
  Communicator& pipe = world.along(Axis::kPipe);
  Pipeline pipeline(pipe, {layout.schedule, !result.parameters.empty(), trainee.stage->decodes()});
  const auto pass = make_pass(*trainee.stage, setting.context());
  const auto batches = micro_batches(golden, world.mesh().size(Axis::kData), world.here().data);
  const PassTotals totals = pipeline.train(*pass, batches);
  if (setting.sum_shared) SharedByStages(result.parameters, pipe).sum(result.parameters);
  result.totals =
      GradientSync(world.along(Axis::kData)).reduce(result.parameters, totals.loss, totals.tokens);
  return result;
}

Expected on_one_rank(const GoldenCase& golden, const Setting& setting) {
  World world = solo_world();
  const RankResult result = run_rank(golden, {"one", Mesh(), whole}, setting, world);
  Expected expected{result.totals.loss, result.totals.tokens, {}};
  for (const Parameter& parameter : result.parameters)
    expected.gradients[parameter.name] = parameter.grad().cpu().clone();
  return expected;
}

double worst_error(const RankResult& result, const Expected& expected, const Communicator& tensor,
                   std::string& where) {
  double worst = 0;
  for (const Parameter& parameter : result.parameters) {
    if (!parameter.grad().defined()) return 1e30;
    const at::Tensor& wanted = expected.gradients.at(parameter.name);
    // Relative to the whole tensor: a share may be all but zero.
    const at::Tensor part = slab_of(wanted, parameter.cut, tensor);
    const double error =
        (parameter.grad().cpu() - part).abs().max().item<double>() / wanted.abs().max().item<double>();
    if (error > worst) where = parameter.name;
    worst = std::max(worst, error);
  }
  return worst;
}

void expect_step(const Expected& expected, const GoldenCase& golden, const Layout& layout,
                 const Setting& setting, World& world) {
  const RankResult result = run_rank(golden, layout, setting, world);
  EXPECT_LT(std::abs(result.totals.loss / expected.loss - 1), setting.tolerance);
  EXPECT_EQ(result.totals.tokens, expected.tokens);
  std::string where, mine;
  EXPECT_LT(worst_error(result, expected, world.along(Axis::kTensor), where), setting.tolerance)
      << "rank " << world.rank() << " " << where;
  for (const Parameter& parameter : result.parameters) mine += parameter.name + '\n';
  std::set<std::string> seen;
  for (const std::string& names : gather_texts(world.all(), mine)) {
    std::istringstream lines(names);
    for (std::string name; std::getline(lines, name);) seen.insert(name);
  }
  EXPECT_EQ(seen.size(), expected.gradients.size()) << "every trained tensor is on some stage";
}

TokenRows answers_of(ModelStage& stage, const GoldenCase& golden, World& world) {
  Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, stage.decodes()});
  ModelPass pass(stage, {}, 0.0);
  const auto batches = micro_batches(golden, world.mesh().size(Axis::kData), world.here().data);
  TokenRows answers;
  for (const TokenRows& rows : pipeline.generate(pass, batches, {12, stage.eos_id()}))
    answers.insert(answers.end(), rows.begin(), rows.end());
  return answers;
}

void expect_predictions(const GoldenCase& golden, const Layout& layout, World& world, at::Device device) {
  at::set_num_threads(1);
  const auto stage = stage_of(golden, layout, world, device);
  FixedPrompt prompt(golden.stored("prompt").to(device));
  stage->attach_input(&prompt);
  EXPECT_EQ(answers_of(*stage, golden, world),
            replica_rows(golden.generated(), world.mesh().size(Axis::kData), world.here().data))
      << "rank " << world.rank();
}

}  // namespace trimtab::test
