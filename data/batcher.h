// SPDX-License-Identifier: Apache-2.0
//
// Batches of a tokenised split. The batch of a step is a pure function of (seed, step), so that every rank
// computes it by itself and a resumed run goes on as if it had not stopped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/batch.h"
#include "data/example_store.h"
#include "data/sampler.h"

namespace trimtab {

// Most positions of a micro-batch, and the key that says so. A number alone is the training's.
struct TokenBudget {
  // NOLINTNEXTLINE(google-explicit-constructor)
  TokenBudget(std::int64_t most, std::string_view named = "train.micro_batch_tokens")
      : tokens(most), key(named) {}
  std::int64_t tokens;
  std::string_view key;
};

class Batcher {
 public:
  // Keeps a reference to the store. Errors: see Sampler and check_replica.
  Batcher(const ExampleStore& store, std::size_t batch, std::uint64_t seed, Replica replica = {});
  // The same for examples in parts (Task::parts), which make up the store.
  Batcher(const ExampleStore& store, const std::vector<SampledPart>& parts, std::size_t batch,
          std::uint64_t seed, Replica replica = {});

  // This replica's rows of the step; samples are rows of the global batch, examples are indices into the
  // store.
  Batch step(std::uint64_t step);

  const Sampler& sampler() const { return sampler_; }

 private:
  const ExampleStore& store_;
  Sampler sampler_;
};

// For evaluation: each example once, in order, in batches of at most `batch` rows. Replica r takes examples
// r, r + count, ...; it may have fewer than the others, or none. samples and examples are both indices into
// the store.
std::vector<Batch> in_order(const ExampleStore& store, std::size_t batch, Replica replica = {});

// Positions that a row takes in a micro-batch: input and target tokens, and `extra_positions` for the prompt.
std::int64_t positions(const Batch& batch, std::size_t row, std::int64_t extra_positions);

// Splits a batch into micro-batches of at most `budget` positions: rows are sorted by positions
// (longest first, so that the largest allocation comes first; equal ones by sample) and filled in this order.
// Every row is in exactly one of them and keeps its sample number. Throws ConfigError that names example,
// length, budget and its key if one row alone is over the budget.
std::vector<Batch> micro_batches(const Batch& batch, TokenBudget budget, std::int64_t extra_positions = 0);
// The same for rows of several lanes, whose prompts have `lane_positions` each. The order is that of the
// texts, so that what is asked through several prompts stays together.
std::vector<Batch> micro_batches(const Batch& batch, TokenBudget budget,
                                 const std::vector<std::int64_t>& lane_positions);

// Throws the same ConfigError for the longest row of the store, before the first step rather than in the
// middle.
void check_token_budget(const ExampleStore& store, TokenBudget budget, std::int64_t extra_positions = 0);

}  // namespace trimtab
