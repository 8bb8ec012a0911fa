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
    : Sampler(std::vector<SampledPart>{{examples, examples}}, batch, seed, replica) {}

Sampler::Sampler(const std::vector<SampledPart>& parts, std::size_t batch, std::uint64_t seed,
                 Replica replica)
    : parts_(parts), batch_(batch), seed_(seed), replica_(replica) {
  for (const SampledPart& part : parts_) {
    if (part.examples == 0 || part.share == 0) fail("the data set is empty: there is nothing to sample from");
    firsts_.push_back(firsts_.back() + part.examples);
    slots_.push_back(slots_.back() + part.share);
  }
  if (parts_.empty()) fail("the data set is empty: there is nothing to sample from");
  if (std::max(firsts_.back(), slots_.back()) > std::numeric_limits<std::uint32_t>::max())
    fail("{} examples are more than 2^32 - 1", std::max(firsts_.back(), slots_.back()));
  check_replica(replica, batch);
}

std::vector<SampledRow> Sampler::step(std::uint64_t step) {
  std::vector<SampledRow> rows;
  const auto stride = static_cast<std::size_t>(replica_.count);
  for (auto row = static_cast<std::size_t>(replica_.rank); row < batch_; row += stride)
    rows.push_back({row, example_at(step * batch_ + row)});
  return rows;
}

std::size_t Sampler::example_at(std::uint64_t position) {
  const std::uint64_t epoch = position / epoch_size();
  const std::size_t slot = order_of(parts_.size(), epoch)[position % epoch_size()];
  const auto part =
      static_cast<std::size_t>(std::upper_bound(slots_.begin(), slots_.end(), slot) - slots_.begin()) - 1;
  const auto [examples, share] = parts_[part];
  const std::size_t within = slot - slots_[part];
  if (share == examples) return firsts_[part] + within;
  const std::uint64_t walked = epoch * share + within;
  return firsts_[part] + order_of(part, walked / examples)[walked % examples];
}

const std::vector<std::uint32_t>& Sampler::order_of(std::size_t part, std::uint64_t epoch) {
  const auto found = std::find_if(orders_.begin(), orders_.end(),
                                  [&](const Order& o) { return o.part == part && o.epoch == epoch; });
  if (found != orders_.end()) return found->values;
  const bool slots = part == parts_.size();
  // A batch may span two epochs; a part that is repeated in an epoch spans as many as its share asks for.
  std::size_t kept = 2;
  if (!slots) kept += parts_[part].share / parts_[part].examples;
  const auto same = [&](const Order& o) { return o.part == part; };
  if (static_cast<std::size_t>(std::count_if(orders_.begin(), orders_.end(), same)) >= kept)
    orders_.erase(std::find_if(orders_.begin(), orders_.end(), same));
  const RandomStream stream = slots ? RandomStream(seed_, Purpose::kShuffle, epoch)
                                    : RandomStream(seed_, Purpose::kMixture, epoch, part);
  const std::size_t size = slots ? epoch_size() : parts_[part].examples;
  orders_.push_back({part, epoch, permutation(static_cast<std::uint32_t>(size), stream)});
  return orders_.back().values;
}

}  // namespace trimtab
