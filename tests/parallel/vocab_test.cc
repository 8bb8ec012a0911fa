// SPDX-License-Identifier: Apache-2.0
//
// What is asked of logits that tensor ranks share, against whole ones. Embedding and cross entropy are held
// to the reference by the golden cases.
#include "parallel/vocab.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "runtime/check.h"
#include "runtime/shard.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::int64_t kVocabulary = 12;  // which five ranks share as 3, 3, 2, 2 and 2

// [t, v], large enough that exponentials overflow unless the largest is taken away first.
at::Tensor logits() { return at::sin(at::arange(5 * kVocabulary, at::kFloat)).view({5, kVocabulary}) * 200; }

void on_tensor_ranks(int ranks, const std::function<void(const at::Tensor& share, Communicator&)>& check) {
  run_ranks(Mesh(1, 1, ranks), [&](World& world) {
    const Share own = share(kVocabulary, world.here().tensor, ranks, Uneven::kAllow);
    check(logits().narrow(1, own.begin, own.count).contiguous(), world.along(Axis::kTensor));
  });
}

TEST(Vocab, LikelihoodsOfSharedLogitsAreThoseOfWholeOnes) {
  const at::Tensor ids = at::tensor({11, 0, 5, 6, 5}, at::kLong);
  const at::Tensor expected = at::log_softmax(logits(), 1).index_select(1, ids);
  for (const int ranks : {1, 2, 3, 5})
    on_tensor_ranks(ranks, [&](const at::Tensor& share, Communicator& tensor) {
      const at::Tensor found = vocab_parallel_log_likelihoods(share, ids, kVocabulary, tensor);
      EXPECT_TRUE(at::allclose(found, expected, 1e-5, 1e-4)) << ranks << " ranks\n" << found - expected;
    });
}

TEST(Vocab, TheLikeliestIdOfSharedLogitsIsThatOfWholeOnes) {
  for (const int ranks : {1, 2, 3, 5})
    on_tensor_ranks(ranks, [&](const at::Tensor& share, Communicator& tensor) {
      EXPECT_TRUE(at::equal(vocab_parallel_argmax(share, kVocabulary, tensor), logits().argmax(1))) << ranks;
    });
}

// Never the logits: the largest one, the sum of exponentials and the target's of each token.
TEST(Vocab, TheLossSendsThreeNumbersATokenWhateverTheVocabulary) {
  constexpr std::int64_t kTokens = 5;
  for (const std::int64_t vocabulary : {12, 1200})
    run_ranks(Mesh(1, 1, 3), [&](World& world) {
      const Share own = share(vocabulary, world.here().tensor, 3, Uneven::kAllow);
      const at::Tensor mine = at::ones({kTokens, own.count}).requires_grad_();
      const at::Tensor targets = at::zeros({kTokens}, at::kLong);
      vocab_parallel_cross_entropy(mine, targets, 1e-4, vocabulary, world.along(Axis::kTensor)).backward();
      ASSERT_TRUE(mine.grad().defined());
      EXPECT_EQ(world.traffic()[Traffic::kTensor].bytes, kTokens * 3 * 4) << vocabulary;
    });
}

TEST(Vocab, LogitsThatAreNotFiniteHaveNoAnswer) {
  World world = solo_world();
  Communicator& tensor = world.along(Axis::kTensor);
  at::Tensor bad = logits();
  bad[3][4] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor first = at::zeros({1}, at::kLong), beyond = at::full({1}, kVocabulary, at::kLong);
  EXPECT_THAT([&] { vocab_parallel_log_likelihoods(bad, first, kVocabulary, tensor); },
              ThrowsMessage<Error>(HasSubstr("not finite")));
  EXPECT_THAT([&] { vocab_parallel_argmax(bad, kVocabulary, tensor); },
              ThrowsMessage<Error>(HasSubstr("not finite")));
  EXPECT_THAT([&] { vocab_parallel_log_likelihoods(logits(), beyond, kVocabulary, tensor); },
              ThrowsMessage<Error>(HasSubstr("token id 12 in a vocabulary of 12")));
}

}  // namespace
}  // namespace trimtab
