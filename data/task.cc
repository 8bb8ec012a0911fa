// SPDX-License-Identifier: Apache-2.0
#include "data/task.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "data/labels.h"
#include "data/metrics.h"
#include "runtime/check.h"

namespace trimtab {

double Scores::value(std::string_view name) const {
  std::vector<std::string> known;
  for (const Metric& metric : metrics) {
    if (metric.name == name) return metric.value;
    known.push_back(metric.name);
  }
  fail("there is no metric '{}'; known: {}", name, fmt::join(known, ", "));
}

Scores Task::score(const std::vector<std::string>& predictions,
                   const std::vector<TextExample>& examples) const {
  Scores scores;
  scores.examples = examples.size();
  if (const Texts legal = labels(); !legal.empty()) {
    Texts targets;
    for (const TextExample& example : examples) {
      if (count_invalid({example.target}, legal) != 0)
        fail("task {}: example '{}' has no label ('{}'), so that it cannot be scored", name(), example.id,
             example.target);
      targets.push_back(example.target);
    }
    scores.metrics = {{"accuracy", accuracy(predictions, targets)}};
    scores.main = "accuracy";
    scores.invalid = count_invalid(predictions, legal);
    return scores;
  }
  std::vector<Texts> references;
  for (const TextExample& example : examples) {
    references.push_back(example.references);
    references.back().push_back(example.target);
  }
  scores.metrics = {{"exact_match", exact_match(predictions, references)},
                    {"f1", token_f1(predictions, references)}};
  scores.main = "f1";
  return scores;
}

void Task::check_split(const std::string& split) const {
  const std::vector<std::string> known = splits();
  if (std::find(known.begin(), known.end(), split) == known.end())
    fail_config("task {} has no split '{}'{}", name(), split, known_names(split, known));
}

}  // namespace trimtab
