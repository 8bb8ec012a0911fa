// SPDX-License-Identifier: Apache-2.0
#include "parallel/shared_by_stages.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/world.h"

namespace trimtab {
namespace {

at::Tensor leaf(at::IntArrayRef shape) { return at::zeros(shape, at::kFloat).set_requires_grad(true); }

TEST(SharedByStages, SumsEachCopysGradientOnTheStagesThatHoldOne) {
  run_ranks(Mesh(1, 4, 1), [](World& world) {
    const int here = world.here().pipe;
    // "table" is on stages 0, 2 and 3, "bias" on 1 and 2, stacked under another parameter; each has its own.
    Parameters parameters = {{fmt::format("own {}", here), leaf({2})}};
    const at::Tensor stacked = leaf({5, 2});
    if (here == 1 || here == 2) {
      parameters.push_back({"first rows", stacked, 0, 3});
      parameters.back().name += std::to_string(here);
      parameters.push_back({"bias", stacked, 3, 2});
      stacked.mutable_grad() = at::full({5, 2}, here + 1.0);
    }
    if (here != 1) parameters.push_back({"table", leaf({3})});
    if (here == 0 || here == 3) parameters.back().leaf.mutable_grad() = at::full({3}, 10.0 + here);

    SharedByStages shared(parameters, world.along(Axis::kPipe));
    const std::vector<std::vector<std::string>> names = {{"table"}, {"bias"}, {"bias", "table"}, {"table"}};
    EXPECT_EQ(shared.names(), names[static_cast<std::size_t>(here)]);
    shared.sum(parameters);
    for (const Parameter& parameter : parameters) {
      if (parameter.name.starts_with("own")) {
        EXPECT_FALSE(parameter.grad().defined());
        continue;
      }
      const double value = parameter.name == "table" ? 23.0 : parameter.name == "bias" ? 5.0 : here + 1.0;
      EXPECT_TRUE(at::equal(parameter.grad(), at::full(parameter.value().sizes(), value, at::kFloat)))
          << parameter.name;
    }
    EXPECT_EQ(shared.counts_here("table"), here == 0 || here == 1) << "not shared on stage 1, so its own";
    EXPECT_EQ(shared.counts_here("bias"), here != 2);
    // Nobody but the holders of a copy sends it, and to the other holders only.
    const std::int64_t bytes[] = {2 * 12, 16, 2 * 12 + 16, 2 * 12};
    EXPECT_EQ(world.traffic()[Traffic::kGradient].bytes, bytes[here]);
  });
}

TEST(SharedByStages, OneStageSharesNothing) {
  World world = solo_world();
  const Parameters parameters = {{"table", leaf({3})}};
  SharedByStages shared(parameters, world.along(Axis::kPipe));
  shared.sum(parameters);
  EXPECT_TRUE(shared.names().empty());
  EXPECT_TRUE(shared.counts_here("table"));
  EXPECT_FALSE(parameters[0].grad().defined());
}

TEST(SharedByStages, NamesAParameterThatIsGone) {
  EXPECT_THROW(run_ranks(Mesh(1, 2, 1),
                         [](World& world) {
                           SharedByStages shared({{"table", leaf({3})}}, world.along(Axis::kPipe));
                           shared.sum({});
                         }),
               Error);
}

}  // namespace
}  // namespace trimtab
