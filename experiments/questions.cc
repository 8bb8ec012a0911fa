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
    : recipe_(recipe), options_(std::move(options)), count_(questions.size()) {
  Batch all;
  std::size_t number = 0;
  for (const auto& [example, lane] : questions)
    all.append(store.inputs.row(example), store.targets.row(example), number++, example, lane);
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
  std::vector<std::vector<float>> likelihoods;
  if (options_.ranking)
    likelihoods = runner.rank(micro, options_.ranking->walk());
  else
    ids = runner.generate(micro, options_.max_target);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const Batch& batch = batches_[mine[i]];
    for (std::size_t row = 0; row < batch.rows(); ++row) {
      const auto at = static_cast<std::size_t>(batch.samples[row]);
      if (options_.ranking) {
        const std::size_t labels = options_.ranking->labels();
        std::copy_n(likelihoods[i].begin() + static_cast<std::ptrdiff_t>(row * labels), labels,
                    found.likelihoods.begin() + static_cast<std::ptrdiff_t>(at * labels));
      } else {
        found.texts[at] = recipe_.decode_target(ids[i].at(row));
      }
      found.questions.push_back(at);
    }
  }
}

std::vector<std::string> Questions::gather(Communicator& replicas, Found found) const {
  if (!options_.ranking) {
    share_texts(replicas, found.questions, found.texts);
    return std::move(found.texts);
  }
  // Each question is on one replica, and zero elsewhere.
  replicas.all_reduce(
      {found.likelihoods.data(), static_cast<std::int64_t>(found.likelihoods.size()), DType::kFloat32},
      ReduceOp::kSum, Traffic::kControl);
  return options_.ranking->best(found.likelihoods);
}

std::vector<std::string> Questions::answers(ModelRunner& runner,
                                            const std::function<bool()>& should_stop) const {
  World& world = runner.world();
  Found found;
  found.texts.resize(count_);
  if (options_.ranking) found.likelihoods.resize(count_ * options_.ranking->labels());
  const auto round =
      static_cast<std::size_t>(world.mesh().size(Axis::kData) * world.mesh().size(Axis::kPipe));
  for (std::size_t begin = 0; begin < batches_.size(); begin += round) {
    if (any_of(world.all(), should_stop && should_stop())) throw Interrupted("stopped while answering");
    answer(runner, begin, std::min(begin + round, batches_.size()), found);
  }
  return gather(world.along(Axis::kData), std::move(found));
}

}  // namespace trimtab
