// SPDX-License-Identifier: Apache-2.0
//
// Models of all families over meshes of MPI processes against one rank (mesh_step.h): the meshes that have
// exactly the ranks of this job.
#include <gmock/gmock.h>

#include <algorithm>

#include "models/mesh_step.h"
#include "runtime/mpi_test_main.h"

namespace trimtab::test {
namespace {

using Body = std::function<void(const GoldenCase&, const Layout&, World&)>;

void on_each_mesh(const Body& body) {
  int meshes = 0;
  for (const Layout& layout : layouts()) {
    if (layout.mesh.size() != test_session().size()) continue;
    ++meshes;
    World world = mpi_world(layout.mesh, test_session());
    for (const std::string& name : golden_cases()) {
      SCOPED_TRACE(fmt::format("{} on {}", name, layout.name));
      const GoldenCase golden(name);
      if (fits(golden, layout)) body(golden, layout, world);
    }
  }
  EXPECT_GT(meshes, 0) << "no mesh of " << test_session().size() << " ranks";
}

TEST(ModelPipelineOverMpi, LossAndGradientsAreThoseOfOneRank) {
  on_each_mesh([](const GoldenCase& golden, const Layout& layout, World& world) {
    for (const Setting& setting : kSettings) {
      SCOPED_TRACE(setting.text());
      expect_step(on_one_rank(golden, setting), golden, layout, setting, world);
    }
  });
}

TEST(ModelPipelineOverMpi, GreedyPredictionsAreThoseOfTheReference) {
  on_each_mesh([](const GoldenCase& golden, const Layout& layout, World& world) {
    expect_predictions(golden, layout, world);
  });
}

}  // namespace
}  // namespace trimtab::test
