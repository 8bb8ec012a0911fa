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
                                          {"tp3", Mesh(1, 1, 3), whole},
                                          {"tp3_pp2_sp", Mesh(1, 2, 3), between, "1f1b", true},
                                          {"dp2", Mesh(2, 1, 1), whole},
                                          {"dp2_pp2", Mesh(2, 2, 1), in_encoder},
                                          {"dp2_pp2_tp2", Mesh(2, 2, 2), in_decoder},
                                          {"tp2_sp", Mesh(1, 1, 2), whole, "1f1b", true},
                                          {"tp2_pp2_sp", Mesh(1, 2, 2), between, "gpipe", true},
                                          {"dp2_pp2_tp2_sp", Mesh(2, 2, 2), in_decoder, "1f1b", true}};
  return all;
}

bool fits(const GoldenCase& golden, const Layout& layout) {
  return layout.mesh.size(Axis::kTensor) <= golden.model().attention_shape().kv_heads;
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

at::Tensor slab_of(const at::Tensor& whole_tensor, const Cut& cut, const Communicator& tensor) {
  if (cut == kWhole) return whole_tensor;
  const Share own = share_of(cut, tensor);
  return whole_tensor.narrow(cut.dim, own.begin, own.count);
}

}  // namespace trimtab::test
