// SPDX-License-Identifier: Apache-2.0
//
// Tasks as an experiment makes them, and what a model that is always right would answer.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "data/labels.h"
#include "data/tasks/registry.h"

namespace trimtab {

// `options` is YAML, a key a line.
inline std::unique_ptr<Task> task_of(const std::string& name, const std::string& options) {
  Subtree subtree = Subtree::parse("name: " + name + "\n" + options + "\n", "task", "run.yaml");
  return make_task(subtree);
}

inline std::vector<std::string> targets_of(const std::vector<TextExample>& examples) {
  std::vector<std::string> targets;
  for (const TextExample& example : examples) targets.push_back(example.target);
  return targets;
}

// The targets, but for rows whose target is a wrong referent (WSC).
inline std::vector<std::string> perfect_answers(const std::vector<TextExample>& examples) {
  std::vector<std::string> answers = targets_of(examples);
  for (std::size_t i = 0; i < examples.size(); ++i)
    if (examples[i].label == "False") answers[i] = "somebody else entirely";
  return answers;
}

inline void expect_perfect(const Task& task, const std::vector<TextExample>& examples) {
  const Scores scores = task.score(perfect_answers(examples), examples);
  for (const Metric& metric : scores.metrics)
    EXPECT_NEAR(metric.value, 100, 1e-9) << task.name() << " " << metric.name;
  EXPECT_EQ(scores.invalid, 0u) << task.name();
}

}  // namespace trimtab
