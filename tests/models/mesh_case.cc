// SPDX-License-Identifier: Apache-2.0
#include "models/mesh_case.h"

#include <algorithm>
#include <utility>

#include "runtime/check.h"

namespace trimtab::test {
namespace {

// The rows [begin, end) of each micro-batch.
std::vector<std::pair<int, int>> dealt(int replicas, int replica) {
  if (replicas == 1) return {{0, 1}, {1, 3}, {3, 4}};
  TT_CHECK(replicas == 2, "rows are dealt to one or two replicas");
  if (replica == 0) return {{0, 1}, {1, 2}, {2, 3}};
  return {{3, 4}};
}

}  // namespace

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

const Layout& layout_named(const std::string& name) {
  const auto found = std::ranges::find(layouts(), name, &Layout::name);
  TT_CHECK(found != layouts().end(), "no layout '{}'", name);
  return *found;
}

bool fits(const GoldenCase& golden, const Layout& layout) {
  return layout.mesh.size(Axis::kTensor) <= golden.model().attention_shape().kv_heads;
}

std::vector<MicroBatch> micro_batches(const GoldenCase& golden, int replicas, int replica) {
  std::vector<MicroBatch> out;
  for (const auto& [begin, end] : dealt(replicas, replica)) out.push_back(golden.batch(begin, end));
  return out;
}

TokenRows replica_rows(const TokenRows& all, int replicas, int replica) {
  TokenRows out;
  for (const auto& [begin, end] : dealt(replicas, replica))
    for (int row = begin; row < end; ++row) out.push_back(all.at(static_cast<std::size_t>(row)));
  return out;
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
