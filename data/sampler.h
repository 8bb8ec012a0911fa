// SPDX-License-Identifier: Apache-2.0
//
// Which examples a step takes, as a pure function of (seed, step): epochs are permutations keyed by (seed,
// epoch) and laid end to end, so a batch may span two epochs and every example is used once an epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

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

  // Remembers the orders of the last two epochs, hence is not const; the result depends on the arguments
  // alone.
  std::vector<SampledRow> step(std::uint64_t step);

  std::size_t examples() const { return examples_; }
  std::size_t batch() const { return batch_; }
  // Epoch that the first row of the step belongs to.
  std::uint64_t epoch(std::uint64_t step) const { return step * batch_ / examples_; }

 private:
  struct Epoch {
    std::uint64_t number;
    std::vector<std::uint32_t> order;
  };
  const std::vector<std::uint32_t>& order_of(std::uint64_t epoch);

  std::size_t examples_;
  std::size_t batch_;
  std::uint64_t seed_;
  Replica replica_;
  std::vector<Epoch> epochs_;
};

}  // namespace trimtab
