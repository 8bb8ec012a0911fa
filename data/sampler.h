// SPDX-License-Identifier: Apache-2.0
//
// Which examples a step takes, as a pure function of (seed, step): epochs are permutations keyed by (seed,
// epoch) and laid end to end, so a batch may span two epochs and every example is used once an epoch. Where
// examples fall into parts with shares (a mixture of tasks), an epoch permutes the slots of all shares, and a
// part whose share is not its size walks through permutations of its own examples, also laid end to end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "data/sampled_part.h"

namespace trimtab {

// The rows of the global batch that this replica takes: rank, rank + count, rank + 2 count, ...
struct Replica {
  int rank = 0;
  int count = 1;
};

struct SampledRow {
  std::uint64_t sample;  // row of the global batch
  std::size_t example;
};

// Throws ConfigError unless 0 <= rank < count <= batch, so that no replica is without rows. An uneven split
// is allowed.
void check_replica(const Replica& replica, std::size_t batch);

class Sampler {
 public:
  // Throws Error if there are no examples, ConfigError if batch is 0.
  Sampler(std::size_t examples, std::size_t batch, std::uint64_t seed, Replica replica = {});
  // The examples of the parts follow one another. Throws Error for a part without examples or share too.
  Sampler(const std::vector<SampledPart>& parts, std::size_t batch, std::uint64_t seed, Replica replica = {});

  // Remembers the orders of the last epochs, hence is not const; the result depends on the arguments
  // alone.
  std::vector<SampledRow> step(std::uint64_t step);

  // Rows of an epoch: all examples, or the sum of the shares.
  std::size_t epoch_size() const { return slots_.back(); }
  std::size_t batch() const { return batch_; }
  // Epoch that the first row of the step belongs to.
  std::uint64_t epoch(std::uint64_t step) const { return step * batch_ / epoch_size(); }

 private:
  struct Order {
    std::size_t part;  // the number of parts: of all slots
    std::uint64_t epoch;
    std::vector<std::uint32_t> values;
  };
  const std::vector<std::uint32_t>& order_of(std::size_t part, std::uint64_t epoch);
  std::size_t example_at(std::uint64_t position);

  std::vector<SampledPart> parts_;
  std::vector<std::size_t> slots_{0};   // first slot of each part, and their number
  std::vector<std::size_t> firsts_{0};  // first example of each part, and their number
  std::size_t batch_;
  std::uint64_t seed_;
  Replica replica_;
  std::vector<Order> orders_;
};

}  // namespace trimtab
