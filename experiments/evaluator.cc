// SPDX-License-Identifier: Apache-2.0
#include "experiments/evaluator.h"

#include <chrono>

#include "data/batcher.h"
#include "experiments/to_micro_batch.h"
#include "runtime/check.h"

namespace trimtab {

Evaluator::Evaluator(const Task& task, const Tokenizer& tokenizer, const TextRecipe& recipe,
                     std::vector<TextExample> examples, EvaluatorOptions options)
    : task_(task), tokenizer_(tokenizer), examples_(std::move(examples)), options_(options) {
  const ExampleStore store = recipe.encode(examples_, counts_);
  const std::vector<Batch> all = in_order(store, store.size());
  batches_ = micro_batches(all.front(), options_.batch_tokens, options_.extra_positions);
}

Evaluation Evaluator::run(ModelStage& stage, const std::function<bool()>& should_stop) const {
  const auto start = std::chrono::steady_clock::now();
  Evaluation out;
  out.predictions.resize(examples_.size());
  std::size_t done = 0;
  for (const Batch& batch : batches_) {
    if (should_stop && should_stop()) throw Interrupted("stopped while evaluating");
    const auto ids = stage.generate(to_micro_batch(batch, stage.pad_id()), options_.max_target);
    TT_CHECK(ids.size() == batch.rows(), "{} answers to {} rows", ids.size(), batch.rows());
    for (std::size_t row = 0; row < ids.size(); ++row)
      out.predictions[batch.examples[row]] = tokenizer_.decode(ids[row]);
    done += ids.size();
  }
  TT_CHECK(done == examples_.size(), "{} of {} examples were answered", done, examples_.size());
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
