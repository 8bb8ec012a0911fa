// SPDX-License-Identifier: Apache-2.0
#include "data/sampler.h"

#include <algorithm>
#include <limits>

#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {

void check_replica(const Replica& replica, std::size_t batch) {
  if (batch == 0) fail_config("the batch should have 1 row or more");
  if (replica.count < 1 || replica.rank < 0 || replica.rank >= replica.count)
    fail_config("replica {} of {} does not exist", replica.rank, replica.count);
  if (static_cast<std::size_t>(replica.count) > batch)
    fail_config(
        "the batch of {} rows leaves some of the {} replicas without any; raise it, or use fewer replicas",
        batch, replica.count);
}

Sampler::Sampler(std::size_t examples, std::size_t batch, std::uint64_t seed, Replica replica)
    : examples_(examples), batch_(batch), seed_(seed), replica_(replica) {
  if (examples == 0) fail("the data set is empty: there is nothing to sample from");
  if (examples > std::numeric_limits<std::uint32_t>::max())
    fail("{} examples are more than 2^32 - 1", examples);
  check_replica(replica, batch);
}

std::vector<SampledRow> Sampler::step(std::uint64_t step) {
  std::vector<SampledRow> rows;
  const auto stride = static_cast<std::size_t>(replica_.count);
  for (auto row = static_cast<std::size_t>(replica_.rank); row < batch_; row += stride) {
    const std::uint64_t position = step * batch_ + row;
    rows.push_back({row, order_of(position / examples_)[position % examples_]});
  }
  return rows;
}

const std::vector<std::uint32_t>& Sampler::order_of(std::uint64_t epoch) {
  const auto found =
      std::find_if(epochs_.begin(), epochs_.end(), [&](const Epoch& e) { return e.number == epoch; });
  if (found != epochs_.end()) return found->order;
  constexpr std::size_t kKept = 2;
  if (epochs_.size() == kKept) epochs_.erase(epochs_.begin());
  const RandomStream stream(seed_, Purpose::kShuffle, epoch);
  epochs_.push_back({epoch, permutation(static_cast<std::uint32_t>(examples_), stream)});
  return epochs_.back().order;
}

}  // namespace trimtab
