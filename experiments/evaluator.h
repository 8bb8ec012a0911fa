// SPDX-License-Identifier: Apache-2.0
//
// Scores a split by greedy generation, or by the likeliest label, and the task's own metrics: every example
// exactly once over all replicas, sorted by length into micro-batches of a token budget. Owns the tokenised
// split, so that a run tokenises it once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/task.h"
#include "data/text_recipe.h"
#include "experiments/label_ranking.h"
#include "experiments/model_runner.h"
#include "experiments/run_record.h"

namespace trimtab {

struct EvaluatorOptions {
  std::int64_t max_target = 8;            // most tokens that are generated, end of sequence included
  std::int64_t batch_tokens = 8192;       // of inputs, prompts and targets in a micro-batch
  std::int64_t extra_positions = 0;       // in front of each row
  const LabelRanking* ranking = nullptr;  // chooses the answers; null: they are generated
};

struct Evaluation {
  SplitScores scores;
  std::vector<std::string> predictions;  // in the order of the examples
  double seconds = 0.0;
};

class Evaluator {
 public:
  // Task and recipe must outlive this. Throws Error if there are no examples, ConfigError if one is over
  // the budget.
  Evaluator(const Task& task, const TextRecipe& recipe, std::vector<TextExample> examples,
            EvaluatorOptions options);

  // Collective over all ranks, each of which gets the whole result. `should_stop` is asked between rounds of
  // micro-batches; when it says yes on any rank, Interrupted is thrown on all.
  Evaluation run(ModelRunner& runner, const std::function<bool()>& should_stop = {}) const;

  const std::vector<TextExample>& examples() const { return examples_; }
  // What trimming took away.
  const RecipeCounts& counts() const { return counts_; }

 private:
  const Task& task_;
  const TextRecipe& recipe_;
  std::vector<TextExample> examples_;
  EvaluatorOptions options_;
  RecipeCounts counts_;
  std::vector<Batch> batches_;
  std::size_t rows_ = 0;  // in all of them: examples, or examples and labels

  // Rows of the micro-batches so far: what was generated, or how likely the row's label is.
  struct Answers {
    std::vector<std::string> texts;
    std::vector<float> likelihoods;  // 0 for rows of other replicas
    std::vector<std::size_t> rows;   // of this replica
  };
  // Answers the micro-batches [begin, end) that are this replica's turn.
  void answer(ModelRunner& runner, std::size_t begin, std::size_t end, Answers& answers) const;
  // Of all replicas, in the order of the examples.
  std::vector<std::string> predictions(Communicator& replicas, Answers answers) const;
};

// Not an error: somebody asked the program to end.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace trimtab
