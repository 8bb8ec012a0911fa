// SPDX-License-Identifier: Apache-2.0
#include "experiments/experiment_config.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "experiments/mesh_check.h"

#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/mesh.h"

namespace trimtab {

namespace {

constexpr std::array<std::string_view, 3> kDegrees = {"data", "pipe", "tensor"};

// How many ranks there are is said by the degrees together.
void forget_degrees(ConfigNode& mesh) {
  ConfigNode others = ConfigNode::map();
  others.place = mesh.place;
  for (std::size_t i = 0; i < mesh.items.size(); ++i)
    if (std::ranges::find(kDegrees, mesh.keys[i]) == kDegrees.end()) others.add(mesh.keys[i], mesh.items[i]);
  mesh = std::move(others);
}

bool names_degrees(const ConfigNode& mesh) {
  return mesh.kind == ConfigNode::Kind::kMap &&
         std::ranges::any_of(kDegrees, [&](std::string_view key) { return mesh.find(key) != nullptr; });
}

}  // namespace

void change_experiment(ConfigNode& tree, const Assignment& assignment) {
  ConfigNode* mesh = assignment.key == "mesh" ? tree.find("mesh") : nullptr;
  if (mesh != nullptr && mesh->kind == ConfigNode::Kind::kMap && names_degrees(assignment.value))
    forget_degrees(*mesh);
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
