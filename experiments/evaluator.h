// SPDX-License-Identifier: Apache-2.0
//
// Scores a split: every example exactly once, sorted by length into micro-batches of a token budget, by
// greedy generation and the task's own metrics. Owns the tokenised split, so that a run tokenises it once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/task.h"
#include "data/text_recipe.h"
#include "data/tokenizer.h"
#include "experiments/run_record.h"
#include "models/model.h"

namespace trimtab {

struct EvaluatorOptions {
  std::int64_t max_target = 8;       // most tokens that are generated, end of sequence included
  std::int64_t batch_tokens = 8192;  // of inputs, prompts and targets in a micro-batch
  std::int64_t extra_positions = 0;  // in front of each row
};

struct Evaluation {
  SplitScores scores;
  std::vector<std::string> predictions;  // in the order of the examples
  double seconds = 0.0;
};

class Evaluator {
 public:
  // Task and tokenizer must outlive this. Throws Error if there are no examples, ConfigError if one is over
  // the budget.
  Evaluator(const Task& task, const Tokenizer& tokenizer, const TextRecipe& recipe,
            std::vector<TextExample> examples, EvaluatorOptions options);

  // `should_stop` is asked between micro-batches; when it says yes, Interrupted is thrown.
  Evaluation run(ModelStage& stage, const std::function<bool()>& should_stop = {}) const;

  const std::vector<TextExample>& examples() const { return examples_; }
  // What trimming took away.
  const RecipeCounts& counts() const { return counts_; }

 private:
  const Task& task_;
  const Tokenizer& tokenizer_;
  std::vector<TextExample> examples_;
  EvaluatorOptions options_;
  RecipeCounts counts_;
  std::vector<Batch> batches_;
};

// Not an error: somebody asked the program to end.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace trimtab
