// SPDX-License-Identifier: Apache-2.0
#include "experiments/experiment_config.h"

#include "experiments/mesh_check.h"

#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/mesh.h"

namespace trimtab {

Mesh mesh_of(const ExperimentConfig& config) {
  const MeshConfig& mesh = config.mesh;
  return {static_cast<int>(mesh.data), static_cast<int>(mesh.pipe), static_cast<int>(mesh.tensor)};
}

void check_mesh(const ExperimentConfig& config, int world_size) {
  const MeshConfig& mesh = config.mesh;
  mesh_of(config).check_world_size(world_size);
  if (config.train.batch % mesh.data != 0)
    fail_config("train.batch: {} rows cannot be shared evenly by mesh.data = {} replicas", config.train.batch,
                mesh.data);
}

void check(const ExperimentConfig& config, int world_size) {
  check_mesh(config, world_size);
  check(config.optimizer.resolved());
  check_writable_folder(config.output, 1 << 20);
}

}  // namespace trimtab
