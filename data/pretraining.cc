// SPDX-License-Identifier: Apache-2.0
#include "data/pretraining.h"

#include <algorithm>
#include <cmath>

#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

// Validation draws are kept apart from training draws by a bit of the sample number that no row reaches.
std::uint64_t sample_key(PretrainingSplit split, std::uint64_t row) {
  return split == PretrainingSplit::kTrain ? row : row | (std::uint64_t{1} << 62);
}

}  // namespace

PretrainingData::PretrainingData(const T5Tokenizer& tokenizer, PretrainingOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)) {
  check_options();
  const bool spans = options_.objective == "span_corruption";
  chunk_ = spans
               ? random_spans_helper(options_.input_length, options_.noise_density, options_.mean_span).tokens
               : options_.input_length;
  for (const CorpusOptions& corpus : options_.corpora) {
    corpora_.push_back(open_corpus(corpus, tokenizer));
    total_weight_ += corpus.weight;
  }
  for (std::size_t i = 0; i < corpora_.size(); ++i)
    for (const PretrainingSplit split : {PretrainingSplit::kTrain, PretrainingSplit::kValidation}) {
      if (split == PretrainingSplit::kValidation && options_.validation_percent == 0) continue;
      const bool train = split == PretrainingSplit::kTrain;
      if (part(i, split).size() < static_cast<std::size_t>(chunk_))
        fail("{}: the {} part has {} tokens, which is less than one chunk of {}; lower input_length{}",
             options_.corpora[i].path, train ? "training" : "validation", part(i, split).size(), chunk_,
             train ? "" : " or raise validation_percent");
    }
}

void PretrainingData::check_options() const {
  if (options_.objective != "span_corruption" && options_.objective != "prefix_lm")
    fail_config("objective should be span_corruption or prefix_lm, but is '{}'", options_.objective);
  if (options_.corpora.empty()) fail_config("pretraining: no corpus is given");
  for (const CorpusOptions& corpus : options_.corpora)
    if (!(corpus.weight > 0 && std::isfinite(corpus.weight)))
      fail_config("corpus {}: weight should be above 0, but is {}", corpus.path, corpus.weight);
  if (options_.input_length < 2)
    fail_config("pretraining: input_length should be 2 or more, but is {}", options_.input_length);
  if (options_.max_target != 0 && options_.max_target < 2)
    fail_config("pretraining: max_target should be 0 (all) or 2 and more, but is {}", options_.max_target);
  if (options_.validation_percent < 0 || options_.validation_percent > 50)
    fail_config("pretraining: validation_percent should lie between 0 and 50, but is {}",
                options_.validation_percent);
  if (options_.batch == 0) fail_config("pretraining: the batch should have 1 row or more");
}

std::uint64_t PretrainingData::tokens() const {
  std::uint64_t sum = 0;
  for (const TokenArray& corpus : corpora_) sum += corpus.ids().size();
  return sum;
}

std::span<const TokenId> PretrainingData::part(std::size_t corpus, PretrainingSplit split) const {
  const std::span<const TokenId> all = corpora_[corpus].ids();
  const std::size_t held_out = all.size() * static_cast<std::size_t>(options_.validation_percent) / 100;
  return split == PretrainingSplit::kTrain ? all.first(all.size() - held_out) : all.last(held_out);
}

std::span<const TokenId> PretrainingData::draw_chunk(PretrainingSplit split, std::uint64_t step,
                                                     std::uint64_t row) const {
  const std::uint64_t sample = sample_key(split, row);
  const RandomStream mixture(options_.seed, Purpose::kMixture, step, sample);
  double left = mixture.uniform_double(0) * total_weight_;
  std::size_t corpus = 0;
  while (corpus + 1 < corpora_.size() && left >= options_.corpora[corpus].weight)
    left -= options_.corpora[corpus++].weight;
  const std::span<const TokenId> ids = part(corpus, split);
  const auto length = static_cast<std::size_t>(chunk_);
  const RandomStream place(options_.seed, Purpose::kSample, step, sample);
  return ids.subspan(place.bounded(0, ids.size() - length + 1), length);
}

Denoising PretrainingData::example(PretrainingSplit split, std::uint64_t step, std::uint64_t row) const {
  if (split == PretrainingSplit::kValidation && options_.validation_percent == 0)
    fail_config("pretraining: there is no validation part; set validation_percent");
  const std::span<const TokenId> chunk = draw_chunk(split, step, row);
  const std::uint64_t sample = sample_key(split, row);
  // Two streams a row: the two segmentations must not follow each other.
  const RandomStream first(options_.seed, Purpose::kCorruption, step, 2 * sample);
  const RandomStream second(options_.seed, Purpose::kCorruption, step, 2 * sample + 1);
  if (options_.objective == "span_corruption") {
    const auto mask =
        random_spans_noise_mask(chunk_, options_.noise_density, options_.mean_span, first, second);
    return corrupt_spans(chunk, mask, tokenizer_);
  }
  Denoising parts = split_prefix(chunk, 1 + first.bounded(0, chunk.size() - 1), tokenizer_.eos());
  const auto most = static_cast<std::size_t>(options_.max_target);
  if (most > 0 && parts.targets.size() > most) {
    parts.targets.resize(most - 1);
    parts.targets.push_back(tokenizer_.eos());
  }
  return parts;
}

Batch PretrainingData::batch(PretrainingSplit split, std::uint64_t step, Replica replica) const {
  check_replica(replica, options_.batch);
  Batch batch;
  const auto stride = static_cast<std::uint64_t>(replica.count);
  for (auto row = static_cast<std::uint64_t>(replica.rank); row < options_.batch; row += stride) {
    const Denoising parts = example(split, step, row);
    batch.append(parts.inputs, parts.targets, row, row);
  }
  return batch;
}

}  // namespace trimtab
