// SPDX-License-Identifier: Apache-2.0
//
// What a run is scored on, by name: splits of its own task, and other tasks that it is not trained on
// (evaluate.transfer).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/task.h"
#include "data/text_recipe.h"
#include "experiments/evaluator.h"
#include "experiments/experiment_config.h"
#include "experiments/label_ranking.h"

namespace trimtab {

class ScoredSplits {
 public:
  // All three must outlive it; the options of the tasks of evaluate.transfer are resolved in `config`. Throws
  // ConfigError for a name that is taken, a split that is not there and labels that do not fit.
  ScoredSplits(ExperimentConfig& config, const Task& task, const TextRecipe& recipe);

  // Reads what a trained run is scored on at its end, so that what is wrong with its files is known before
  // the training: evaluate.split, the test split if it is there with its targets, and evaluate.transfer.
  void find(std::vector<std::string>& warnings);
  const std::vector<std::string>& names() const { return names_; }

  // Tokenised on first use. `options` without a ranking.
  const Evaluator& evaluator(const std::string& name, AnswerOptions options);
  bool has_evaluator(const std::string& name) const { return evaluators_.contains(name); }

 private:
  struct Scored {
    const Task* task;
    std::string split;
    const LabelRanking* ranking;  // null where answers are generated
  };
  const LabelRanking* ranking_of(const Task& task);
  const Scored& scored(const std::string& name);
  std::vector<TextExample> load(const std::string& name);

  const ExperimentConfig& config_;
  const Task& task_;
  const TextRecipe& recipe_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<std::unique_ptr<LabelRanking>> rankings_;
  std::map<std::string, Scored> scored_;
  std::map<std::string, std::unique_ptr<Evaluator>> evaluators_;
  std::vector<std::string> names_;
};

}  // namespace trimtab
