// SPDX-License-Identifier: Apache-2.0
#include "experiments/questions.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/batcher.h"
#include "experiments/to_micro_batch.h"
#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Every replica gets the answers of the others; each row must have been answered once.
void share_texts(Communicator& replicas, const std::vector<std::size_t>& answered,
                 std::vector<std::string>& texts) {
  nlohmann::json mine = nlohmann::json::array();
  // As bytes: what a model generates need not be valid UTF-8.
  for (const std::size_t row : answered)
    mine.push_back({row, std::vector<std::uint8_t>(texts[row].begin(), texts[row].end())});
  std::size_t total = 0;
  std::vector<bool> seen(texts.size(), false);
  for (const std::string& text : gather_texts(replicas, mine.dump())) {
    for (const auto& answer : nlohmann::json::parse(text)) {
      const auto row = answer[0].get<std::size_t>();
      const auto bytes = answer[1].get<std::vector<std::uint8_t>>();
      texts.at(row).assign(bytes.begin(), bytes.end());
      TT_CHECK(!seen[row], "row {} was answered twice", row);
      seen[row] = true;
      ++total;
    }
  }
  TT_CHECK(total == texts.size(), "{} of {} rows were answered", total, texts.size());
}

}  // namespace

std::vector<Question> through_every_lane(std::size_t examples, std::size_t lanes) {
  std::vector<Question> questions;
  for (std::size_t example = 0; example < examples; ++example)
    for (std::size_t lane = 0; lane < lanes; ++lane)
      questions.push_back({example, static_cast<std::int32_t>(lane)});
  return questions;
}

Questions::Questions(const TextRecipe& recipe, const ExampleStore& store,
                     const std::vector<Question>& questions, AnswerOptions options)
    : recipe_(recipe), options_(std::move(options)) {
  const std::size_t each = options_.ranking ? options_.ranking->labels() : 1;
  Batch all;
  for (const auto& [example, lane] : questions)
    for (std::size_t i = 0; i < each; ++i, ++rows_) {
      const std::size_t row = example * each + i;
      all.append(store.inputs.row(row), store.targets.row(row), rows_, example, lane);
    }
  batches_ = micro_batches(all, {options_.batch_tokens, "evaluate.batch_tokens"}, options_.lane_positions);
}

void Questions::answer(ModelRunner& runner, std::size_t begin, std::size_t end, Found& found) const {
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
      const auto at = static_cast<std::size_t>(batch.samples[row]);
      if (options_.ranking)
        found.likelihoods[at] = sums[row];
      else
        found.texts[at] = recipe_.decode_target(ids[i][row]);
      found.rows.push_back(at);
    }
  }
}

std::vector<std::string> Questions::gather(Communicator& replicas, Found found) const {
  if (!options_.ranking) {
    share_texts(replicas, found.rows, found.texts);
    return std::move(found.texts);
  }
  // Each row is on one replica, and zero elsewhere.
  replicas.all_reduce(
      {found.likelihoods.data(), static_cast<std::int64_t>(found.likelihoods.size()), DType::kFloat32},
      ReduceOp::kSum, Traffic::kControl);
  return options_.ranking->best(found.likelihoods);
}

std::vector<std::string> Questions::answers(ModelRunner& runner,
                                            const std::function<bool()>& should_stop) const {
  World& world = runner.world();
  Found found;
  found.texts.resize(rows_);
  found.likelihoods.resize(rows_);
  const auto round =
      static_cast<std::size_t>(world.mesh().size(Axis::kData) * world.mesh().size(Axis::kPipe));
  for (std::size_t begin = 0; begin < batches_.size(); begin += round) {
    if (any_of(world.all(), should_stop && should_stop())) throw Interrupted("stopped while answering");
    answer(runner, begin, std::min(begin + round, batches_.size()), found);
  }
  return gather(world.along(Axis::kData), std::move(found));
}

}  // namespace trimtab
