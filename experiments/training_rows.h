// SPDX-License-Identifier: Apache-2.0
//
// The training split of an experiment as tokens, and which of its rows are in which step: a pure function of
// (seed, step), the same on every rank.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/batcher.h"
#include "data/task.h"
#include "data/text_recipe.h"
#include "experiments/experiment_config.h"
#include "models/methods/tuning_method.h"

namespace trimtab {

class TrainingRows {
 public:
  // Reads and tokenises the split, or takes it from the cache. Throws ConfigError for a row that is larger
  // than a micro-batch may be.
  TrainingRows(const ExperimentConfig& config, const Task& task, const TextRecipe& recipe,
               const TuningMethod& method);
  TrainingRows(const TrainingRows&) = delete;
  TrainingRows& operator=(const TrainingRows&) = delete;

  const ExampleStore& tokens() const { return store_; }
  // SHA-256 of the tokens.
  const std::string& hash() const { return hash_; }
  // Things worth saying before the run starts: empty and cut texts, labels without a row.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // All rows of a step, of all replicas.
  Batch step(std::int64_t step) { return batcher_->step(static_cast<std::uint64_t>(step)); }
  // Id of the example behind a row of that step.
  std::string name(std::int64_t step, std::uint64_t sample);

 private:
  std::vector<TextExample> examples_;  // without their inputs
  ExampleStore store_;
  std::unique_ptr<Batcher> batcher_;
  std::string hash_;
  std::vector<std::string> warnings_;
};

}  // namespace trimtab
