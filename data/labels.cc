// SPDX-License-Identifier: Apache-2.0
#include "data/labels.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {

std::string known_names(const std::string& name, const std::vector<std::string>& known) {
  const std::string hint = did_you_mean(name, known);
  return fmt::format("{} known: {}", hint.empty() ? ";" : hint, fmt::join(known, ", "));
}

const std::string& check_label(const std::string& label, const std::vector<std::string>& labels,
                               const std::string& place) {
  if (std::find(labels.begin(), labels.end(), label) == labels.end())
    fail("{}: unknown label '{}'{}", place, label, known_names(label, labels));
  return label;
}

bool is_labelled(const TextExample& example) {
  return !example.target.empty() && example.target != kNoLabel && example.label != kNoLabel;
}

std::vector<std::string> labels_without_example(const std::vector<std::string>& labels,
                                                const std::vector<TextExample>& examples) {
  std::vector<std::string> left = labels;
  for (const TextExample& example : examples) std::erase(left, example.target);
  return left;
}

void check_max_rows(const std::string& task, long long max_rows) {
  if (max_rows < 0) fail_config("task {}: max_rows should be 0 (all) or more, but is {}", task, max_rows);
}

}  // namespace trimtab
