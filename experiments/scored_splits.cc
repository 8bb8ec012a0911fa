// SPDX-License-Identifier: Apache-2.0
#include "experiments/scored_splits.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "data/data_files.h"
#include "data/labels.h"
#include "data/tasks/registry.h"
#include "experiments/recipe.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

bool has_targets(const std::vector<TextExample>& examples) {
  return std::ranges::all_of(examples, is_labelled);
}

// Where a task replaces what was learned by its own labels, something that was learned has to be meant.
void check_replaced(const Task& trained, const Task& other, const std::string& where) {
  const std::vector<std::string> learned = trained.labels(), labels = other.labels();
  if (learned.empty() || labels.empty() || other.name() == "mixture") return;
  const std::vector<std::string> said = other.choices();
  std::vector<std::string> replaced;
  std::ranges::copy_if(said, std::back_inserter(replaced), [&](const std::string& text) {
    return std::ranges::find(labels, text) == labels.end();
  });
  const auto is_learned = [&](const std::string& text) {
    return std::ranges::find(learned, text) != learned.end();
  };
  if (!replaced.empty() && std::ranges::none_of(replaced, is_learned))
    fail_config(
        "{}: evaluate.transfer: task.replace of {} makes no label of {} into one of its own: it would "
        "read {}, but what was trained says {}",
        where, other.name(), trained.name(), fmt::join(replaced, ", "), fmt::join(learned, ", "));
}

}  // namespace

ScoredSplits::ScoredSplits(ExperimentConfig& config, const Task& task, const TextRecipe& recipe)
    : config_(config), task_(task), recipe_(recipe) {
  const auto own = task.splits();
  for (TransferConfig& transfer : config.evaluate.transfer) {
    const std::string where = transfer.task.where();
    if (scored_.contains(transfer.name) || std::ranges::find(own, transfer.name) != own.end())
      fail_config(
          "{}: evaluate.transfer: the name '{}' is already taken, by another entry or by a split of {}",
          where, transfer.name, task.name());
    const Task& other = *tasks_.emplace_back(make_task(transfer.task));
    const auto splits = other.splits();
    if (std::ranges::find(splits, transfer.split) == splits.end())
      fail_config("{}: evaluate.transfer: the task {} has no split '{}' but {}", where, other.name(),
                  transfer.split, fmt::join(splits, ", "));
    check_replaced(task, other, where);
    recipe.encode_labels(other.labels());
    scored_[transfer.name] = {&other, transfer.split, ranking_of(other)};
  }
}

const LabelRanking* ScoredSplits::ranking_of(const Task& task) {
  if (config_.evaluate.answers != "rank") return nullptr;
  return rankings_.emplace_back(std::make_unique<LabelRanking>(recipe_, task.choices())).get();
}

void ScoredSplits::find(std::vector<std::string>& warnings) {
  const auto splits = task_.splits();
  const auto has = [&](const std::string& split) { return std::ranges::find(splits, split) != splits.end(); };
  const auto add = [&](const std::string& name) {
    const std::vector<TextExample> examples = load(name);
    const auto without = std::ranges::find_if_not(examples, is_labelled);
    const Scored& of = scored(name);
    if (without != examples.end())
      fail_config("the split '{}' of {} cannot be scored: row {} has no target", of.split, of.task->name(),
                  without->id);
    names_.push_back(name);
  };
  const std::string& dev = config_.evaluate.split;
  if (has(dev)) add(dev);
  if (dev != "test" && has("test")) {
    try {
      if (has_targets(task_.load("test"))) names_.push_back("test");
    } catch (const MissingData& missing) {
      // Many data sets come without it.
      warnings.push_back(fmt::format("the test split will not be scored: {}", missing.what()));
    }
  }
  for (const TransferConfig& transfer : config_.evaluate.transfer) add(transfer.name);
}

const ScoredSplits::Scored& ScoredSplits::scored(const std::string& name) {
  const auto found = scored_.find(name);
  if (found != scored_.end()) return found->second;
  return scored_[name] = {&task_, name, ranking_of(task_)};
}

std::vector<TextExample> ScoredSplits::load(const std::string& name) {
  const Scored& of = scored(name);
  std::vector<TextExample> examples = of.task->load(of.split);
  keep_first(examples, config_.evaluate.max_examples);
  if (name == config_.evaluate.split) keep_first(examples, config_.text.dev_rows);
  return examples;
}

const Evaluator& ScoredSplits::evaluator(const std::string& name, AnswerOptions options) {
  std::unique_ptr<Evaluator>& evaluator = evaluators_[name];
  if (evaluator) return *evaluator;
  const Scored& of = scored(name);
  std::vector<TextExample> examples = load(name);
  const TokenisedExamples rows = tokenised(config_, recipe_, *of.task, of.split, examples);
  options.ranking = of.ranking;
  evaluator = std::make_unique<Evaluator>(*of.task, recipe_, std::move(examples), rows, options);
  return *evaluator;
}

}  // namespace trimtab
