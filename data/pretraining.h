// SPDX-License-Identifier: Apache-2.0
//
// Self-supervised batches from plain text: span corruption to pretrain a T5, prefix LM to adapt one. A row is
// a pure function of (seed, step, row): it draws its corpus by weight, a place in the corpus, and the noise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/sampler.h"
#include "data/span_corruption.h"
#include "data/token_array.h"
#include "data/tokenizers/t5_tokenizer.h"

namespace trimtab {

struct PretrainingOptions {
  std::string objective = "span_corruption";  // or prefix_lm
  std::vector<CorpusOptions> corpora{};
  int input_length =
      512;  // span_corruption: of the corrupted input with eos; prefix_lm: of the chunk that is split
  int max_target = 0;           // prefix_lm: longer targets are cut to this with eos; 0 leaves them whole
  double noise_density = 0.15;  // span_corruption
  double mean_span = 3;         // span_corruption
  int validation_percent = 0;   // of each corpus, from its end
  std::uint64_t batch = 32;
  std::uint64_t seed = 1;
};

enum class PretrainingSplit { kTrain, kValidation };

class PretrainingData {
 public:
  // Opens (or makes) the id arrays. Keeps a reference to the tokenizer. Throws ConfigError for bad options,
  // Error for bad text or a split that is shorter than one chunk.
  PretrainingData(const T5Tokenizer& tokenizer, PretrainingOptions options);

  // Row `row` of the global batch of the step. Validation draws the same way, from the end of each corpus.
  Denoising example(PretrainingSplit split, std::uint64_t step, std::uint64_t row) const;
  // This replica's rows; `examples` are the rows' numbers in the global batch.
  Batch batch(PretrainingSplit split, std::uint64_t step, Replica replica = {}) const;

  // Raw tokens that a row is made of.
  int chunk() const { return chunk_; }
  // Of all corpora, validation included.
  std::uint64_t tokens() const;
  const PretrainingOptions& options() const { return options_; }

 private:
  void check_options() const;
  std::span<const TokenId> part(std::size_t corpus, PretrainingSplit split) const;
  std::span<const TokenId> draw_chunk(PretrainingSplit split, std::uint64_t step, std::uint64_t row) const;

  const T5Tokenizer& tokenizer_;
  PretrainingOptions options_;
  int chunk_ = 0;
  double total_weight_ = 0;
  std::vector<TokenArray> corpora_{};
};

}  // namespace trimtab
