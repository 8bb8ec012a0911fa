// SPDX-License-Identifier: Apache-2.0
#include "experiments/evaluator.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "data/labels.h"
#include "data/majority.h"
#include "experiments/host_allocator.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

std::vector<Question> asked(const std::vector<TextExample>& examples, const AnswerOptions& options) {
  if (!options.lane_of) return through_every_lane(examples.size(), options.lane_positions.size());
  std::vector<Question> questions;
  for (const TextExample& example : examples)
    questions.push_back({questions.size(), options.lane_of(example)});
  return questions;
}

Questions questions_of(const TextRecipe& recipe, const std::vector<TextExample>& examples,
                       const TokenisedExamples& tokenised, AnswerOptions options) {
  TT_CHECK(tokenised.store.size() == examples.size(), "{} rows of {} examples", tokenised.store.size(),
           examples.size());
  const std::vector<Question> all = asked(examples, options);
  return {recipe, tokenised.store, all, std::move(options)};
}

// The length of each text is in it, so that no two rows come to the same bytes.
std::string hash_of(const std::vector<TextExample>& examples) {
  Sha256 sha;
  const auto add = [&](const std::string& text) {
    sha.update(fmt::format("{}:", text.size()));
    sha.update(text);
  };
  for (const TextExample& example : examples) {
    for (const std::string* text :
         {&example.input, &example.target, &example.id, &example.group, &example.label})
      add(*text);
    sha.update(fmt::format("{} of part {}:", example.references.size(), example.part));
    for (const std::string& reference : example.references) add(reference);
  }
  return sha.hex();
}

}  // namespace

Evaluator::Evaluator(const Task& task, const TextRecipe& recipe, std::vector<TextExample> examples,
                     const TokenisedExamples& tokenised, AnswerOptions options)
    : task_(task),
      examples_(std::move(examples)),
      counts_(tokenised.counts),
      data_hash_(hash_of(examples_)),
      has_targets_(std::ranges::all_of(examples_, is_labelled)),
      lanes_(options.lane_of ? 1 : options.lane_positions.size()),
      questions_(questions_of(recipe, examples_, tokenised, std::move(options))) {
  if (has_targets_) majority_ = majority_score(task_, examples_);
}

SplitScores Evaluator::scores(const std::vector<std::string>& predictions) const {
  SplitScores out;
  out.examples = static_cast<std::int64_t>(examples_.size());
  out.cut_inputs = static_cast<std::int64_t>(counts_.cut_inputs);
  if (!has_targets_) return out;
  const Scores scores = task_.score(predictions, examples_);
  for (const Metric& metric : scores.metrics) out.metrics.emplace_back(metric.name, metric.value);
  out.main = scores.main;
  out.invalid = static_cast<std::int64_t>(scores.invalid);
  out.majority = majority_;
  return out;
}

Evaluation Evaluator::run(ModelRunner& runner, const std::function<bool()>& should_stop) const {
  TT_CHECK(lanes_ == 1, "one evaluation of {} lanes", lanes_);
  return std::move(run_lanes(runner, should_stop).front());
}

std::vector<Evaluation> Evaluator::run_lanes(ModelRunner& runner,
                                             const std::function<bool()>& should_stop) const {
  const auto start = std::chrono::steady_clock::now();
  give_back_freed();
  std::vector<std::string> answers = questions_.answers(runner, should_stop);
  give_back_freed();
  std::vector<Evaluation> out(lanes_);
  for (std::size_t i = 0; i < answers.size(); ++i)
    out[i % lanes_].predictions.push_back(std::move(answers[i]));
  for (Evaluation& evaluation : out) evaluation.scores = scores(evaluation.predictions);
  for (Evaluation& evaluation : out)
    evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace trimtab
