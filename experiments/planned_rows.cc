// SPDX-License-Identifier: Apache-2.0
#include "experiments/planned_rows.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "data/labels.h"
#include "data/tasks/registry.h"
#include "experiments/recipe.h"
#include "experiments/vocabulary_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// "71.3 input and 4.0 target tokens a row, at most 128 and 6"
std::string lengths_of(const ExampleStore& store) {
  std::int64_t input = 0, target = 0;
  for (std::size_t row = 0; row < store.size(); ++row) {
    input = std::max(input, store.inputs.length(row));
    target = std::max(target, store.targets.length(row));
  }
  const auto rows = static_cast<double>(store.size());
  return fmt::format("{:.1f} input and {:.1f} target tokens a row, at most {} and {}",
                     static_cast<double>(store.inputs.ids().size()) / rows,
                     static_cast<double>(store.targets.ids().size()) / rows, input, target);
}

}  // namespace

PlannedRows::PlannedRows(const ExperimentConfig& config, const BaseModel& model, const TuningMethod& method,
                         const std::optional<RowLengths>& given)
    : rows_(config.train.batch) {
  if (given) {
    lengths_ = *given;
    source_ =
        fmt::format("{:.6g} input and {:.6g} target tokens a row, as given", lengths_.input, lengths_.target);
    return;
  }
  try {
    read_splits(config, model, method);
  } catch (const Error& error) {
    batcher_ = nullptr;
    lengths_ = {static_cast<double>(config.text.max_input), static_cast<double>(config.text.max_target)};
    source_ = fmt::format(
        "{:.6g} input and {:.6g} target tokens a row, the limits text.max_input and text.max_target, since "
        "the "
        "training split cannot be read here: {}",
        lengths_.input, lengths_.target, error.what());
  }
}

void PlannedRows::read_splits(const ExperimentConfig& config, const BaseModel& model,
                              const TuningMethod& method) {
  Subtree options = config.task;
  const std::unique_ptr<Task> task = make_task(options);
  tokenizer_ = open_vocabulary(config.model.vocabulary, model, config.output);
  recipe_ = make_recipe(config, model, *tokenizer_, method, *task);
  std::vector<TextExample> examples = task->load("train");
  keep_first(examples, config.text.train_rows);
  store_ = tokenised(config, *recipe_, *task, "train", examples).store;
  batcher_ =
      std::make_unique<Batcher>(store_, task->parts(examples), static_cast<std::size_t>(config.train.batch),
                                static_cast<std::uint64_t>(config.train.seed));
  source_ = fmt::format("the training split of {}: {}", task->name(), lengths_of(store_));
  read_scored(config, method, *task);
  read_scored_at_the_end(config, method, *task);
}

void PlannedRows::read_scored(const ExperimentConfig& config, const TuningMethod& method, const Task& task) {
  const auto splits = task.splits();
  if (std::ranges::find(splits, config.evaluate.split) != splits.end())
    scored_ = micro_batches_of(config, method, task, config.evaluate.split);
}

void PlannedRows::read_scored_at_the_end(const ExperimentConfig& config, const TuningMethod& method,
                                         const Task& task) {
  const auto add = [&](const Task& scored, const std::string& split) {
    for (Batch& batch : micro_batches_of(config, method, scored, split))
      scored_at_the_end_.push_back(std::move(batch));
  };
  // A run says what is wrong with a split; its training and its dev split are planned all the same.
  const auto if_readable = [](const std::function<void()>& read) {
    try {
      read();
    } catch (const Error&) {  // see above
    }
  };
  const auto splits = task.splits();
  if (std::ranges::find(splits, "test") != splits.end()) if_readable([&] { add(task, "test"); });
  for (const TransferConfig& transfer : config.evaluate.transfer)
    if_readable([&] {
      Subtree options = transfer.task;
      add(*make_task(options), transfer.split);
    });
}

std::vector<Batch> PlannedRows::micro_batches_of(const ExperimentConfig& config, const TuningMethod& method,
                                                 const Task& task, const std::string& split) const {
  std::vector<TextExample> examples = task.load(split);
  if (split != config.evaluate.split && !std::ranges::all_of(examples, is_labelled)) return {};
  keep_first(examples, config.evaluate.max_examples);
  if (split == config.evaluate.split) keep_first(examples, config.text.dev_rows);
  const ExampleStore store = tokenised(config, *recipe_, task, split, examples).store;
  Batch all;
  for (std::size_t row = 0; row < store.size(); ++row)
    all.append(store.inputs.row(row), store.targets.row(row), row, row);
  return micro_batches(all, {config.evaluate.batch_tokens, "evaluate.batch_tokens"}, method.row_positions());
}

Batch PlannedRows::step(std::uint64_t number) const {
  if (batcher_) return batcher_->step(number);
  const std::vector<TokenId> input(static_cast<std::size_t>(std::llround(lengths_.input)), 0);
  const std::vector<TokenId> target(static_cast<std::size_t>(std::llround(lengths_.target)), 0);
  Batch batch;
  for (std::int64_t row = 0; row < rows_; ++row)
    batch.append(input, target, static_cast<std::uint64_t>(row), 0);
  return batch;
}

}  // namespace trimtab
