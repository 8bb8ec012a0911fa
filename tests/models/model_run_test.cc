// SPDX-License-Identifier: Apache-2.0
//
// Twenty steps on meshes of threads against one rank (mesh_run.h), with dropout, whose masks must not depend
// on the mesh. tests/launch/ranks_test.cc has the same of processes.
#include <gmock/gmock.h>

#include "models/mesh_run.h"

namespace trimtab::test {
namespace {

class ModelRun : public testing::TestWithParam<bool> {};

TEST_P(ModelRun, StepsAndAnswersOnMeshesAreThoseOfOneRank) {
  const GoldenCase golden("t5_depth");  // so many layers that stages cut its encoder, and others its decoder
  const Setting setting{GetParam(), 0.1, true, at::kCPU, 1e-4};
  const Course expected = run_on_one_rank(golden, setting);
  // A run that stands still would show little.
  EXPECT_LT(expected.steps.back().loss, 0.97 * expected.steps.front().loss);
  EXPECT_NE(expected.answers, golden.generated());
  EXPECT_NE(expected.answers.front(), expected.answers.back());
  for (const char* name : {"dp2", "tp2", "pp2", "pp3_uneven", "dp2_pp2", "tp2_pp2", "dp2_pp2_tp2"}) {
    const Layout& layout = layout_named(name);
    run_ranks(layout.mesh, [&](World& world) { expect_run(expected, golden, layout, setting, world); });
  }
}

INSTANTIATE_TEST_SUITE_P(Of, ModelRun, testing::Bool(),
                         [](const auto& test) { return test.param ? "AModel" : "APrompt"; });

}  // namespace
}  // namespace trimtab::test
