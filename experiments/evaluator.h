// SPDX-License-Identifier: Apache-2.0
//
// Scores a split by what the model answers and the task's own metrics, through one prompt or through several
// in one pass. Owns the tokenised split, so that a run tokenises it once. Where targets are hidden there are
// predictions and no metrics.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/example_cache.h"
#include "data/task.h"
#include "data/text_recipe.h"
#include "experiments/model_runner.h"
#include "experiments/questions.h"
#include "experiments/run_record.h"

namespace trimtab {

struct Evaluation {
  SplitScores scores;
  std::vector<std::string> predictions;  // in the order of the examples
  double seconds = 0.0;                  // of the pass, whatever the number of lanes in it
};

class Evaluator {
 public:
  // Task and recipe must outlive this; `tokenised` are the examples. Each is asked through every lane of the
  // options, or through its own. Throws ConfigError if one is over the budget, and what lane_of throws.
  Evaluator(const Task& task, const TextRecipe& recipe, std::vector<TextExample> examples,
            const TokenisedExamples& tokenised, AnswerOptions options);

  // Collective over all ranks, each of which gets the whole result. `should_stop` is asked between rounds of
  // micro-batches; when it says yes on any rank, Interrupted is thrown on all. For one lane, or
  // examples that have one each.
  Evaluation run(ModelRunner& runner, const std::function<bool()>& should_stop = {}) const;
  // The same through each lane.
  std::vector<Evaluation> run_lanes(ModelRunner& runner, const std::function<bool()>& should_stop = {}) const;

  // What the task makes of answers to the examples, wherever they come from; no metrics unless has_targets().
  SplitScores scores(const std::vector<std::string>& predictions) const;

  // Whether every example has a target.
  bool has_targets() const { return has_targets_; }
  const Task& task() const { return task_; }
  // SHA-256 of what is asked and of what is right.
  const std::string& data_hash() const { return data_hash_; }
  const std::vector<TextExample>& examples() const { return examples_; }
  // What trimming took away.
  const RecipeCounts& counts() const { return counts_; }

 private:
  const Task& task_;
  std::vector<TextExample> examples_;
  RecipeCounts counts_;
  std::string data_hash_;
  bool has_targets_;
  std::optional<double> majority_;
  std::size_t lanes_ = 1;
  Questions questions_;
};

}  // namespace trimtab
