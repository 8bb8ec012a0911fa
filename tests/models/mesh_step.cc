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

RankResult run_rank(const GoldenCase& golden, const Layout& layout, const Setting& setting, World& world,
                    const PassMaker& make_pass) {
  at::set_num_threads(1);  // of this rank's thread: ranks that share the processors only wait for each other
  const auto stage = stage_of(golden, layout, world);
  RankResult result;
  const at::Tensor rows = golden.stored("prompt").set_requires_grad(true);
  FixedPrompt prompt(rows);
  if (setting.whole_model) {
    result.parameters = stage->trainable_base();
  } else {
    stage->attach_input(&prompt);  // everywhere, since layouts depend on it
    if (stage->embeds_input()) result.parameters = {{"prompt", rows}};
  }
  Communicator& pipe = world.along(Axis::kPipe);
  Pipeline pipeline(pipe, {layout.schedule, !result.parameters.empty(), stage->decodes()});
  const auto pass = make_pass(*stage, setting.context());
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
    expected.gradients[parameter.name] = parameter.grad().clone();
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
        (parameter.grad() - part).abs().max().item<double>() / wanted.abs().max().item<double>();
    if (error > worst) where = parameter.name;
    worst = std::max(worst, error);
  }
  return worst;
}

void expect_step(const Expected& expected, const GoldenCase& golden, const Layout& layout,
                 const Setting& setting, World& world) {
  const RankResult result = run_rank(golden, layout, setting, world);
  EXPECT_LT(std::abs(result.totals.loss / expected.loss - 1), kTolerance);
  EXPECT_EQ(result.totals.tokens, expected.tokens);
  std::string where, mine;
  EXPECT_LT(worst_error(result, expected, world.along(Axis::kTensor), where), kTolerance)
      << "rank " << world.rank() << " " << where;
  for (const Parameter& parameter : result.parameters) mine += parameter.name + '\n';
  std::set<std::string> seen;
  for (const std::string& names : gather_texts(world.all(), mine)) {
    std::istringstream lines(names);
    for (std::string name; std::getline(lines, name);) seen.insert(name);
  }
  EXPECT_EQ(seen.size(), expected.gradients.size()) << "every trained tensor is on some stage";
}

void expect_predictions(const GoldenCase& golden, const Layout& layout, World& world) {
  at::set_num_threads(1);
  const auto stage = stage_of(golden, layout, world);
  FixedPrompt prompt(golden.stored("prompt"));
  stage->attach_input(&prompt);
  Pipeline pipeline(world.along(Axis::kPipe), {"1f1b", false, stage->decodes()});
  ModelPass pass(*stage, {}, 0.0);
  const auto batches = micro_batches(golden, world.mesh().size(Axis::kData), world.here().data);
  TokenRows found;
  for (const TokenRows& rows : pipeline.generate(pass, batches, {12, stage->eos_id()}))
    found.insert(found.end(), rows.begin(), rows.end());
  const TokenRows all = golden.generated();
  const std::ptrdiff_t first = world.here().data == 0 ? 0 : 3;
  EXPECT_EQ(found,
            TokenRows(all.begin() + first, all.begin() + first + static_cast<std::ptrdiff_t>(found.size())))
      << "rank " << world.rank();
}

}  // namespace trimtab::test
