// SPDX-License-Identifier: Apache-2.0
#include "experiments/evaluator.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "data/batcher.h"
#include "experiments/to_micro_batch.h"
#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Every replica gets the answers of the others; each example must have been answered once.
void share_predictions(Communicator& replicas, const std::vector<std::size_t>& answered,
                       std::vector<std::string>& predictions) {
  nlohmann::json mine = nlohmann::json::array();
  // As bytes: what a model generates need not be valid UTF-8.
  for (const std::size_t example : answered)
    mine.push_back(
        {example, std::vector<std::uint8_t>(predictions[example].begin(), predictions[example].end())});
  std::size_t total = 0;
  std::vector<bool> seen(predictions.size(), false);
  for (const std::string& text : gather_texts(replicas, mine.dump())) {
    for (const auto& row : nlohmann::json::parse(text)) {
      const auto example = row[0].get<std::size_t>();
      const auto bytes = row[1].get<std::vector<std::uint8_t>>();
      predictions.at(example).assign(bytes.begin(), bytes.end());
      TT_CHECK(!seen[example], "example {} was answered twice", example);
      seen[example] = true;
      ++total;
    }
  }
  TT_CHECK(total == predictions.size(), "{} of {} examples were answered", total, predictions.size());
}

}  // namespace

Evaluator::Evaluator(const Task& task, const TextRecipe& recipe, std::vector<TextExample> examples,
                     EvaluatorOptions options)
    : task_(task), recipe_(recipe), examples_(std::move(examples)), options_(options) {
  const ExampleStore store =
      options.ranking ? options.ranking->rows(examples_, counts_) : recipe.encode(examples_, counts_);
  rows_ = store.size();
  const std::vector<Batch> all = in_order(store, rows_);
  batches_ = micro_batches(all.front(), options_.batch_tokens, options_.extra_positions);
}

void Evaluator::answer(ModelRunner& runner, std::size_t begin, std::size_t end, Answers& answers) const {
  const auto replicas = static_cast<std::size_t>(runner.world().mesh().size(Axis::kData));
  const auto replica = static_cast<std::size_t>(runner.world().here().data);
  std::vector<std::size_t> mine;
  std::vector<MicroBatch> micro;
  for (std::size_t i = begin; i < end; ++i) {
    if (i % replicas != replica) continue;
    mine.push_back(i);
    micro.push_back(to_micro_batch(batches_[i], runner.stage().pad_id()));
  }
  std::vector<TokenRows> ids;
  std::vector<std::vector<float>> scores;
  if (options_.ranking)
    scores = runner.score(micro);
  else
    ids = runner.generate(micro, options_.max_target);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const Batch& batch = batches_[mine[i]];
    const std::vector<float> sums =
        options_.ranking ? row_sums(scores[i], micro[i].decoder) : std::vector<float>();
    const std::size_t count = options_.ranking ? sums.size() : ids[i].size();
    TT_CHECK(count == batch.rows(), "{} answers to {} rows", count, batch.rows());
    for (std::size_t row = 0; row < batch.rows(); ++row) {
      const std::size_t at = batch.examples[row];
      if (options_.ranking)
        answers.likelihoods[at] = sums[row];
      else
        answers.texts[at] = recipe_.decode_target(ids[i][row]);
      answers.rows.push_back(at);
    }
  }
}

std::vector<std::string> Evaluator::predictions(Communicator& replicas, Answers answers) const {
  if (!options_.ranking) {
    share_predictions(replicas, answers.rows, answers.texts);
    return std::move(answers.texts);
  }
  // Each row is on one replica, and zero elsewhere.
  replicas.all_reduce(
      {answers.likelihoods.data(), static_cast<std::int64_t>(answers.likelihoods.size()), DType::kFloat32},
      ReduceOp::kSum, Traffic::kControl);
  return options_.ranking->best(answers.likelihoods);
}

Evaluation Evaluator::run(ModelRunner& runner, const std::function<bool()>& should_stop) const {
  const auto start = std::chrono::steady_clock::now();
  World& world = runner.world();
  Evaluation out;
  Answers answers;
  answers.texts.resize(rows_);
  answers.likelihoods.resize(rows_);
  const auto round =
      static_cast<std::size_t>(world.mesh().size(Axis::kData) * world.mesh().size(Axis::kPipe));
  for (std::size_t begin = 0; begin < batches_.size(); begin += round) {
    if (any_of(world.all(), should_stop && should_stop())) throw Interrupted("stopped while evaluating");
    answer(runner, begin, std::min(begin + round, batches_.size()), answers);
  }
  out.predictions = predictions(world.along(Axis::kData), std::move(answers));
  const Scores scores = task_.score(out.predictions, examples_);
  for (const Metric& metric : scores.metrics) out.scores.metrics.emplace_back(metric.name, metric.value);
  out.scores.main = scores.main;
  out.scores.examples = static_cast<std::int64_t>(examples_.size());
  out.scores.invalid = static_cast<std::int64_t>(scores.invalid);
  out.scores.cut_inputs = static_cast<std::int64_t>(counts_.cut_inputs);
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace trimtab
