// SPDX-License-Identifier: Apache-2.0
#include "experiments/experiment_config.h"

#include "experiments/mesh_check.h"

#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/mesh.h"

namespace trimtab {

void change_experiment(ConfigNode& tree, const Assignment& assignment) {
  ConfigNode* method = assignment.key == "method.name" ? tree.find("method") : nullptr;
  if (method != nullptr && method->kind == ConfigNode::Kind::kMap) {
    const ConfigNode* name = method->find("name");
    if ((name != nullptr ? name->text : ExperimentConfig().method.name()) != assignment.value.text) {
      *method = ConfigNode::map();
      method->place = assignment.value.place;
    }
  }
  assign(tree, assignment);
}

ExperimentConfig read_experiment(ConfigNode tree, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) change_experiment(tree, parse_assignment(text, "--set"));
  return read_config<ExperimentConfig>(tree);
}

ExperimentConfig load_experiment(const std::string& path, const std::vector<std::string>& overrides) {
  return read_experiment(read_yaml_file(path), overrides);
}

Mesh mesh_of(const ExperimentConfig& config) {
  const MeshConfig& mesh = config.mesh;
  return {static_cast<int>(mesh.data), static_cast<int>(mesh.pipe), static_cast<int>(mesh.tensor)};
}

void check_mesh(const ExperimentConfig& config, int world_size) {
  const MeshConfig& mesh = config.mesh;
  mesh_of(config).check_world_size(world_size);
  if (config.train.batch % mesh.data != 0)
    fail_config("train.batch: {} rows cannot be shared evenly by mesh.data = {} replicas; {} can",
                config.train.batch, mesh.data, (config.train.batch / mesh.data + 1) * mesh.data);
}

void check(const ExperimentConfig& config, int world_size) {
  check_mesh(config, world_size);
  check(config.optimizer.resolved());
  check_writable_folder(config.output, 1 << 20);
}

}  // namespace trimtab
