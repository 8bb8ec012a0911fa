// SPDX-License-Identifier: Apache-2.0
//
// The rows that a plan counts with: those of the training split where it can be read, else rows of given
// lengths. Which of them it was is told, since a plan is as good as its lengths.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/batcher.h"
#include "data/example_cache.h"
#include "data/task.h"
#include "data/text_recipe.h"
#include "data/tokenizer.h"
#include "experiments/experiment_config.h"
#include "models/family.h"
#include "models/methods/tuning_method.h"

namespace trimtab {

class PlannedRows {
 public:
  // Reads vocabulary and splits, and keeps the tokenised splits where a run will look for them. With `given`
  // nothing is read.
  PlannedRows(const ExperimentConfig& config, const BaseModel& model, const TuningMethod& method,
              const std::optional<RowLengths>& given);

  // The whole batch of a step.
  Batch step(std::uint64_t number) const;
  // The micro-batches that a score of evaluate.split takes; empty where the split cannot be read.
  const std::vector<Batch>& scored() const { return scored_; }
  // Those of what is scored once, at the end: the test split and evaluate.transfer, as far as they can be
  // read.
  const std::vector<Batch>& scored_at_the_end() const { return scored_at_the_end_; }
  // Where the lengths come from, in words.
  const std::string& source() const { return source_; }
  // The lengths are those of real rows.
  bool real() const { return batcher_ != nullptr; }

 private:
  void read_splits(const ExperimentConfig& config, const BaseModel& model, const TuningMethod& method);
  void read_scored(const ExperimentConfig& config, const TuningMethod& method, const Task& task);
  void read_scored_at_the_end(const ExperimentConfig& config, const TuningMethod& method, const Task& task);
  std::vector<Batch> micro_batches_of(const ExperimentConfig& config, const TuningMethod& method,
                                      const Task& task, const std::string& split) const;

  std::string source_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<TextRecipe> recipe_;
  ExampleStore store_;
  std::unique_ptr<Batcher> batcher_;  // null: all rows are as long as `lengths_`
  RowLengths lengths_;
  std::int64_t rows_ = 0;
  std::vector<Batch> scored_, scored_at_the_end_;
};

}  // namespace trimtab
