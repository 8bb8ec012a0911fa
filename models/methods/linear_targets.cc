// SPDX-License-Identifier: Apache-2.0
#include "models/methods/linear_targets.h"

#include <algorithm>
#include <set>

#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {
namespace {

bool answers_to(std::string_view module, std::string_view target) {
  if (!module.ends_with(target)) return false;
  return module.size() == target.size() || module[module.size() - target.size() - 1] == '.';
}

bool is_known(const ModelStage& stage, std::string_view target) {
  return std::ranges::any_of(stage.linear_modules(),
                             [&](const std::string& module) { return answers_to(module, target); });
}

// The names that are enough to mean a kind of map in all layers.
std::vector<std::string> last_parts(const ModelStage& stage) {
  std::set<std::string> names;
  for (const std::string& module : stage.linear_modules()) names.insert(module.substr(module.rfind('.') + 1));
  return {names.begin(), names.end()};
}

}  // namespace

bool is_target(std::string_view module, const std::vector<std::string>& targets) {
  return std::ranges::any_of(targets, [&](const std::string& target) { return answers_to(module, target); });
}

std::vector<std::string> targets_in(const ModelStage& stage, const std::vector<std::string>& candidates) {
  std::vector<std::string> known;
  for (const std::string& candidate : candidates)
    if (is_known(stage, candidate)) known.push_back(candidate);
  return known;
}

void check_targets(const ModelStage& stage, const std::vector<std::string>& targets, std::string_view key) {
  for (const std::string& target : targets) {
    if (is_known(stage, target)) continue;
    const std::vector<std::string> names = last_parts(stage);
    const std::string hint = did_you_mean(target, names);
    fail_config("{}: no linear map of this model is called '{}'{} known: {}", key, target,
                hint.empty() ? ";" : hint, fmt::join(names, ", "));
  }
}

}  // namespace trimtab
