// SPDX-License-Identifier: Apache-2.0
#include "experiments/training_rows.h"

#include <algorithm>
#include <utility>

#include "data/labels.h"
#include "experiments/recipe.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

std::string hash_of(const ExampleStore& store) {
  Sha256 sha;
  for (const RaggedIds* ids : {&store.inputs, &store.targets}) {
    sha.update(ids->offsets().data(), ids->offsets().size_bytes());
    sha.update(ids->ids().data(), ids->ids().size_bytes());
  }
  return sha.hex();
}

bool is_empty(const TextExample& example) {
  return example.input.find_first_not_of(" \t\r\n") == std::string::npos;
}

std::string cut_text(std::size_t cut, std::size_t all, const char* what, const char* key, std::int64_t most) {
  return fmt::format("{} of {} training {} are longer than {} = {} and were cut", cut, all, what, key, most);
}

}  // namespace

TrainingRows::TrainingRows(const ExperimentConfig& config, const Task& task, const TextRecipe& recipe,
                           const TuningMethod& method)
    : examples_(task.load("train")) {
  leave_out_shown(examples_, config, task);
  keep_first(examples_, config.text.train_rows);
  for (const std::string& label : labels_without_example(task.labels(), examples_))
    warnings_.push_back(fmt::format("no training row has the label '{}'", label));
  TokenisedExamples rows = tokenised(config, recipe, task, "train", examples_);
  store_ = std::move(rows.store);
  hash_ = hash_of(store_);
  const RecipeCounts& counts = rows.counts;
  if (const auto empty = std::ranges::count_if(examples_, is_empty); empty > 0)
    warnings_.push_back(fmt::format("{} of {} training inputs are empty", empty, examples_.size()));
  for (TextExample& example : examples_) example.input = {};  // what is left is what a row is called
  if (counts.cut_inputs > 0)
    warnings_.push_back(
        cut_text(counts.cut_inputs, counts.examples, "inputs", "text.max_input", config.text.max_input));
  if (counts.cut_targets > 0)
    warnings_.push_back(
        cut_text(counts.cut_targets, counts.examples, "targets", "text.max_target", config.text.max_target));
  check_token_budget(store_, config.train.micro_batch_tokens, method.row_positions());
  batcher_ =
      std::make_unique<Batcher>(store_, task.parts(examples_), static_cast<std::size_t>(config.train.batch),
                                static_cast<std::uint64_t>(config.train.seed));
}

std::string TrainingRows::name(std::int64_t step, std::uint64_t sample) {
  const Batch batch = this->step(step);
  for (std::size_t row = 0; row < batch.rows(); ++row)
    if (batch.samples[row] == sample) return examples_.at(batch.examples[row]).id;
  return fmt::format("row {}", sample);
}

}  // namespace trimtab
