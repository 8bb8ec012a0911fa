// SPDX-License-Identifier: Apache-2.0
#include "data/replica_share.h"

#include <algorithm>
#include <numeric>

namespace trimtab {

Batch replica_share(const Batch& batch, int replicas, int replica) {
  if (replicas == 1) return batch;
  std::vector<std::size_t> longest_first(batch.rows());
  std::iota(longest_first.begin(), longest_first.end(), std::size_t{0});
  std::ranges::stable_sort(longest_first, std::ranges::greater{}, [&](std::size_t row) {
    return batch.input_length(row) + batch.target_length(row);
  });
  const auto count = static_cast<std::size_t>(replicas), here = static_cast<std::size_t>(replica);
  std::vector<std::size_t> mine;
  for (std::size_t i = 0; i < longest_first.size(); ++i) {
    const bool back = (i / count) % 2 == 1;
    const std::size_t owner = back ? count - 1 - i % count : i % count;
    if (owner == here) mine.push_back(longest_first[i]);
  }
  std::ranges::sort(mine);
  Batch out;
  for (const std::size_t row : mine)
    out.append(batch.input(row), batch.target(row), batch.samples[row], batch.examples[row],
               batch.lanes[row]);
  return out;
}

}  // namespace trimtab
