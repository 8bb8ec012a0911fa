// SPDX-License-Identifier: Apache-2.0
#include "experiments/mesh_fit.h"

#include "runtime/check.h"

namespace trimtab {

void check_mesh_fits(const MeshConfig& mesh, const BaseModel& model) {
  const auto layers = static_cast<std::int64_t>(model.cost_units({}).size());
  if (mesh.pipe > layers)
    fail_config("mesh.pipe: {} stages for {} layers; use at most one stage a layer", mesh.pipe, layers);
  // Tensor ranks share a layer's attention by whole heads.
  if (const std::int64_t heads = model.attention_shape().kv_heads; mesh.tensor > heads)
    fail_config("mesh.tensor: {} ranks for {} heads of keys and values; use at most {}", mesh.tensor, heads,
                heads);
}

}  // namespace trimtab
