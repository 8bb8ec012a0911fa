// SPDX-License-Identifier: Apache-2.0
#include "data/majority.h"

#include <algorithm>
#include <string>

namespace trimtab {

std::optional<double> majority_score(const Task& task, const std::vector<TextExample>& examples) {
  const std::vector<std::string> labels = task.labels();
  if (labels.empty()) return std::nullopt;
  const auto frequency = [&](const std::string& label) {
    return std::ranges::count(examples, label, &TextExample::target);
  };
  const std::string& most = *std::ranges::max_element(labels, {}, frequency);
  return task.score(std::vector<std::string>(examples.size(), most), examples).main_value();
}

}  // namespace trimtab
