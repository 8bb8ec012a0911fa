// SPDX-License-Identifier: Apache-2.0
//
// Streams whose tokens ranks share against the same stream on one rank: values and gradients, for numbers of
// tokens that ranks do not divide and for fewer tokens than ranks.
#include "parallel/token_split.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "runtime/world.h"

namespace trimtab {
namespace {

constexpr std::int64_t kWidth = 3;

// Different numbers of each rank.
at::Tensor numbers(std::int64_t tokens, int rank) {
  return (at::arange(tokens * kWidth, at::kFloat).reshape({tokens, kWidth}) + 1.0) * (rank + 2.0);
}

at::Tensor own_of(const at::Tensor& all, const TokenSplit& split) {
  return all.narrow(0, split.share().begin, split.share().count);
}

// The sum over ranks of their numbers.
at::Tensor sum_of_numbers(std::int64_t tokens, int ranks) {
  at::Tensor sum = at::zeros({tokens, kWidth});
  for (int rank = 0; rank < ranks; ++rank) sum += numbers(tokens, rank);
  return sum;
}

// body(split of the rows, communicator)
void for_splits(const std::function<void(const TokenSplit&, Communicator&)>& body) {
  for (const int ranks : {1, 2, 3})
    for (const std::vector<std::int64_t>& lengths :
         std::vector<std::vector<std::int64_t>>{{}, {1}, {1, 0, 1}, {2, 3}, {4, 1, 3}})
      run_ranks(Mesh(1, 1, ranks), [&](World& world) {
        Communicator& tensor = world.along(Axis::kTensor);
        SCOPED_TRACE(fmt::format("{} rows on rank {} of {}", lengths.size(), tensor.rank(), ranks));
        body(TokenSplit(RowLayout(lengths), tensor, /*split=*/true), tensor);
      });
}

TEST(TokenSplit, SharesLieInOrder) {
  run_ranks(Mesh(1, 1, 3), [](World& world) {
    Communicator& tensor = world.along(Axis::kTensor);
    const TokenSplit split(RowLayout({4, 1, 3}), tensor, true);
    const std::vector<std::vector<std::int64_t>> lengths = {{3, 0, 0}, {1, 1, 1}, {0, 0, 2}};
    EXPECT_EQ(split.own().lengths(), lengths[static_cast<std::size_t>(tensor.rank())]);
    EXPECT_EQ(split.layout(), RowLayout({4, 1, 3}));
    const TokenSplit whole(RowLayout({4, 1, 3}), tensor, false);
    EXPECT_FALSE(whole.splits());
    EXPECT_EQ(whole.own(), whole.layout());
  });
}

TEST(TokenSplit, EnteringGathersAndItsGradientIsSummed) {
  for_splits([](const TokenSplit& split, Communicator& tensor) {
    const std::int64_t tokens = split.layout().tokens();
    const at::Tensor x = own_of(numbers(tokens, 5), split).clone().set_requires_grad(true);
    const at::Tensor all = split.enter(x);
    EXPECT_TRUE(all.equal(numbers(tokens, 5)));
    (all * numbers(tokens, tensor.rank())).sum().backward();
    EXPECT_TRUE(x.grad().equal(own_of(sum_of_numbers(tokens, tensor.size()), split)));
  });
}

TEST(TokenSplit, LeavingSumsAndItsGradientIsGathered) {
  for_splits([](const TokenSplit& split, Communicator& tensor) {
    const std::int64_t tokens = split.layout().tokens();
    const at::Tensor part = numbers(tokens, tensor.rank()).set_requires_grad(true);
    const at::Tensor own = split.leave(part);
    EXPECT_TRUE(own.equal(own_of(sum_of_numbers(tokens, tensor.size()), split)));
    (own * own_of(numbers(tokens, 7), split)).sum().backward();
    EXPECT_TRUE(part.grad().equal(numbers(tokens, 7)));
  });
}

TEST(TokenSplit, WholeWeightsGetTheGradientOfAllTokens) {
  for_splits([](const TokenSplit& split, Communicator&) {
    const std::int64_t tokens = split.layout().tokens();
    const at::Tensor weight = at::ones({kWidth}).set_requires_grad(true);
    (split.weight(weight) * own_of(numbers(tokens, 0), split)).sum().backward();
    EXPECT_TRUE(weight.grad().equal(numbers(tokens, 0).sum(0)));
    const at::Tensor frozen = weight.detach();
    EXPECT_TRUE(split.weight(frozen).is_same(frozen)) << "nothing is sent for it";
  });
}

TEST(TokenSplit, SelectedTokensMoveToTheirShares) {
  for_splits([](const TokenSplit& split, Communicator& tensor) {
    const std::int64_t tokens = split.layout().tokens();
    if (tokens < 2) return;
    const at::Tensor index = at::tensor(std::vector<std::int64_t>{tokens - 1, 0, 1});
    const TokenSplit to(RowLayout({1, 2}), tensor, true);
    const at::Tensor x = own_of(numbers(tokens, 1), split).clone().set_requires_grad(true);
    const at::Tensor moved = split.select(x, index, to);
    EXPECT_TRUE(moved.equal(own_of(numbers(tokens, 1).index_select(0, index), to)));
    (moved * own_of(numbers(3, 4), to)).sum().backward();
    const at::Tensor wanted = at::zeros({tokens, kWidth}).index_add_(0, index, numbers(3, 4));
    EXPECT_TRUE(x.grad().equal(own_of(wanted, split)));
    EXPECT_TRUE(split.all_of(x.detach()).equal(numbers(tokens, 1)));
  });
}

}  // namespace
}  // namespace trimtab
