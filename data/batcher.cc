// SPDX-License-Identifier: Apache-2.0
#include "data/batcher.h"

#include <algorithm>
#include <numeric>

#include "runtime/check.h"

namespace trimtab {
namespace {

void check_row(std::int64_t used, TokenBudget budget, std::int64_t extra, std::size_t example) {
  if (used > budget.tokens)
    fail_config(
        "example {} takes {} positions ({} of them for the prompt), but a micro-batch has room for {} "
        "tokens; raise {} or lower text.max_input",
        example, used, extra, budget.tokens, budget.key);
}

}  // namespace

Batcher::Batcher(const ExampleStore& store, std::size_t batch, std::uint64_t seed, Replica replica)
    : store_(store), sampler_(store.size(), batch, seed, replica) {}

Batcher::Batcher(const ExampleStore& store, const std::vector<SampledPart>& parts, std::size_t batch,
                 std::uint64_t seed, Replica replica)
    : store_(store), sampler_(parts, batch, seed, replica) {
  std::size_t examples = 0;
  for (const SampledPart& part : parts) examples += part.examples;
  TT_CHECK(examples == store.size(), "parts of {} examples for a store of {}", examples, store.size());
}

Batch Batcher::step(std::uint64_t step) {
  Batch batch;
  for (const SampledRow& row : sampler_.step(step))
    batch.append(store_.inputs.row(row.example), store_.targets.row(row.example), row.sample, row.example);
  return batch;
}

std::vector<Batch> in_order(const ExampleStore& store, std::size_t batch, Replica replica) {
  if (batch == 0) fail_config("the batch should have 1 row or more");
  if (replica.count < 1 || replica.rank < 0 || replica.rank >= replica.count)
    fail_config("replica {} of {} does not exist", replica.rank, replica.count);
  std::vector<Batch> batches;
  const auto stride = static_cast<std::size_t>(replica.count);
  for (auto example = static_cast<std::size_t>(replica.rank); example < store.size(); example += stride) {
    if (batches.empty() || batches.back().rows() == batch) batches.emplace_back();
    batches.back().append(store.inputs.row(example), store.targets.row(example), example, example);
  }
  return batches;
}

std::int64_t positions(const Batch& batch, std::size_t row, std::int64_t extra_positions) {
  return batch.input_length(row) + batch.target_length(row) + extra_positions;
}

std::vector<Batch> micro_batches(const Batch& batch, TokenBudget budget, std::int64_t extra_positions) {
  std::int32_t lanes = 1;
  for (const std::int32_t lane : batch.lanes) lanes = std::max(lanes, lane + 1);
  return micro_batches(batch, budget,
                       std::vector<std::int64_t>(static_cast<std::size_t>(lanes), extra_positions));
}

std::vector<Batch> micro_batches(const Batch& batch, TokenBudget budget,
                                 const std::vector<std::int64_t>& lane_positions) {
  std::vector<std::size_t> order(batch.rows());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const std::int64_t length_a = positions(batch, a, 0), length_b = positions(batch, b, 0);
    return length_a != length_b ? length_a > length_b : batch.samples[a] < batch.samples[b];
  });
  std::vector<Batch> parts;
  std::int64_t left = 0;
  for (const std::size_t row : order) {
    const std::int64_t extra = lane_positions.at(static_cast<std::size_t>(batch.lanes[row]));
    const std::int64_t used = positions(batch, row, extra);
    check_row(used, budget, extra, batch.examples[row]);
    if (parts.empty() || used > left) {
      parts.emplace_back();
      left = budget.tokens;
    }
    left -= used;
    parts.back().append(batch.input(row), batch.target(row), batch.samples[row], batch.examples[row],
                        batch.lanes[row]);
  }
  return parts;
}

void check_token_budget(const ExampleStore& store, TokenBudget budget, std::int64_t extra_positions) {
  for (std::size_t i = 0; i < store.size(); ++i)
    check_row(store.inputs.length(i) + store.targets.length(i) + extra_positions, budget, extra_positions, i);
}

}  // namespace trimtab
