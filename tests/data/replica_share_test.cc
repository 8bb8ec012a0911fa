// SPDX-License-Identifier: Apache-2.0
#include "data/replica_share.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace trimtab {
namespace {

Batch batch_of(const std::vector<std::size_t>& lengths) {
  Batch batch;
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    const std::vector<TokenId> input(lengths[row], static_cast<TokenId>(row)), target(2, 1);
    batch.append(input, target, row, 100 + row);
  }
  return batch;
}

TEST(ReplicaShare, EveryRowGoesToOneReplicaAsItWas) {
  const Batch whole = batch_of({5, 90, 3, 40, 41, 7, 1, 60, 2, 33});
  std::vector<std::uint64_t> seen;
  for (int replica = 0; replica < 3; ++replica) {
    const Batch share = replica_share(whole, 3, replica);
    EXPECT_TRUE(std::ranges::is_sorted(share.samples));
    for (std::size_t row = 0; row < share.rows(); ++row) {
      const std::uint64_t sample = share.samples[row];
      seen.push_back(sample);
      EXPECT_EQ(share.examples[row], 100 + sample);
      EXPECT_TRUE(std::ranges::equal(share.input(row), whole.input(sample)));
      EXPECT_TRUE(std::ranges::equal(share.target(row), whole.target(sample)));
    }
  }
  std::ranges::sort(seen);
  EXPECT_THAT(seen, ::testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST(ReplicaShare, TokensAreBalanced) {
  std::vector<std::size_t> lengths;
  for (std::size_t row = 0; row < 32; ++row) lengths.push_back(1 + row * row % 97);
  const Batch whole = batch_of(lengths);
  std::vector<std::size_t> tokens;
  for (int replica = 0; replica < 4; ++replica) {
    const Batch share = replica_share(whole, 4, replica);
    EXPECT_EQ(share.rows(), 8u);
    tokens.push_back(share.input_ids.size());
  }
  const auto [least, most] = std::ranges::minmax(tokens);
  EXPECT_LT(static_cast<double>(most), 1.1 * static_cast<double>(least));
}

TEST(ReplicaShare, MoreReplicasThanRows) {
  const Batch whole = batch_of({4, 5});
  EXPECT_EQ(replica_share(whole, 3, 0).rows() + replica_share(whole, 3, 1).rows() +
                replica_share(whole, 3, 2).rows(),
            2u);
  EXPECT_EQ(replica_share(whole, 3, 2).rows(), 0u);
}

}  // namespace
}  // namespace trimtab
