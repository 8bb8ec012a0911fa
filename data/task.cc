// SPDX-License-Identifier: Apache-2.0
#include "data/task.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "data/answer_metrics.h"
#include "data/labels.h"
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

Scores mean_scores(std::vector<Metric> metrics, std::size_t examples, std::size_t invalid) {
  TT_CHECK(!metrics.empty(), "scores without a metric");
  Scores scores;
  scores.main = metrics.front().name;
  if (metrics.size() > 1) {
    double sum = 0;
    for (const Metric& metric : metrics) sum += metric.value;
    metrics.push_back({"mean", sum / static_cast<double>(metrics.size())});
    scores.main = "mean";
  }
  scores.metrics = std::move(metrics);
  scores.examples = examples;
  scores.invalid = invalid;
  return scores;
}

std::vector<Texts> right_answers(const std::vector<TextExample>& examples) {
  std::vector<Texts> answers;
  for (const TextExample& example : examples) {
    answers.push_back(example.references);
    answers.back().push_back(example.target);
  }
  return answers;
}

Scores Task::score(const std::vector<std::string>& predictions,
                   const std::vector<TextExample>& examples) const {
  if (const Texts legal = labels(); !legal.empty())
    return mean_scores({{"accuracy", accuracy(predictions, known_targets(examples))}}, examples.size(),
                       count_invalid(predictions, legal));
  const std::vector<Texts> answers = right_answers(examples);
  Scores scores;
  scores.metrics = {{"exact_match", exact_match(predictions, answers)},
                    {"f1", token_f1(predictions, answers)}};
  scores.main = "f1";
  scores.examples = examples.size();
  return scores;
}

std::string Task::prefix() const {
  const std::string all = name();
  return all.substr(all.rfind('/') + 1);
}

std::vector<SampledPart> Task::parts(const std::vector<TextExample>& examples) const {
  return {{examples.size(), examples.size()}};
}

std::vector<Submission> Task::submissions(const std::vector<std::string>&,
                                          const std::vector<TextExample>&) const {
  fail_config("task {}: no benchmark takes submissions of it", name());
}

std::vector<std::string> Task::known_targets(const std::vector<TextExample>& examples) const {
  const Texts legal = labels();
  Texts targets;
  for (const TextExample& example : examples) {
    if (count_invalid({example.target}, legal) != 0)
      fail("task {}: example '{}' has no label ('{}'), so that it cannot be scored", name(), example.id,
           example.target);
    targets.push_back(example.target);
  }
  return targets;
}

void Task::check_split(const std::string& split) const {
  const std::vector<std::string> known = splits();
  if (std::find(known.begin(), known.end(), split) == known.end())
    fail_config("task {} has no split '{}'{}", name(), split, known_names(split, known));
}

}  // namespace trimtab
