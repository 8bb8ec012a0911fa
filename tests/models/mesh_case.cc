// SPDX-License-Identifier: Apache-2.0
#include "models/mesh_case.h"

#include <algorithm>

namespace trimtab::test {

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all = {{"tp2", Mesh(1, 1, 2), whole},
                                          {"pp2", Mesh(1, 2, 1), between},
                                          {"pp2_gpipe", Mesh(1, 2, 1), in_encoder, "gpipe"},
                                          {"pp3_uneven", Mesh(1, 3, 1), in_both},
                                          {"pp4", Mesh(1, 4, 1), each_alone},
                                          {"tp2_pp2", Mesh(1, 2, 2), in_decoder},
                                          {"dp2", Mesh(2, 1, 1), whole},
                                          {"dp2_pp2", Mesh(2, 2, 1), in_encoder},
                                          {"dp2_pp2_tp2", Mesh(2, 2, 2), in_decoder},
                                          {"tp2_sp", Mesh(1, 1, 2), whole, "1f1b", true},
                                          {"tp2_pp2_sp", Mesh(1, 2, 2), between, "gpipe", true},
                                          {"dp2_pp2_tp2_sp", Mesh(2, 2, 2), in_decoder, "1f1b", true}};
  return all;
}

std::vector<MicroBatch> micro_batches(const GoldenCase& golden, int replicas, int replica) {
  if (replicas == 1) return {golden.batch(0, 1), golden.batch(1, 3), golden.batch(3, 4)};
  if (replica == 0) return {golden.batch(0, 1), golden.batch(1, 2), golden.batch(2, 3)};
  return {golden.batch(3, 4)};
}

std::unique_ptr<ModelStage> stage_of(const GoldenCase& golden, const Layout& layout, World& world,
                                     at::Device device) {
  const std::vector<CostUnit> units = golden.model().cost_units({});
  const auto all = static_cast<int>(units.size());
  const auto encoder = static_cast<int>(
      std::ranges::count_if(units, [](const CostUnit& unit) { return unit.name.starts_with("encoder"); }));
  const int before = encoder > 0 ? encoder : all / 2;
  const StagePlan plan(units, layout.sizes(before, all - before));
  StageOptions options{units_of(plan, world.here().pipe)};
  options.sequence_parallel = layout.sequence_parallel;
  options.device = device;
  return golden.model().make_stage(world, options);
}

at::Tensor share_of(const at::Tensor& whole_tensor, const at::Tensor& share, int rank) {
  at::Tensor part = whole_tensor;
  for (std::int64_t dim = 0; dim < whole_tensor.dim(); ++dim)
    if (share.size(dim) != whole_tensor.size(dim))
      part = part.narrow(dim, rank * share.size(dim), share.size(dim));
  return part;
}

}  // namespace trimtab::test
