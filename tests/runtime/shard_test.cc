// SPDX-License-Identifier: Apache-2.0
#include "runtime/shard.h"

#include <gmock/gmock.h>

#include <limits>

#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Share, SplitsEvenly) {
  EXPECT_EQ(share(12, 0, 3), (Share{0, 4}));
  EXPECT_EQ(share(12, 2, 3), (Share{8, 4}));
  EXPECT_EQ(share(0, 1, 3), (Share{0, 0}));
  EXPECT_EQ(share(5, 0, 1), (Share{0, 5}));
}

TEST(Share, UnevenSharesCoverEverythingInOrderAndDifferByOne) {
  for (std::int64_t n = 0; n <= 20; ++n)
    for (std::int64_t m = 1; m <= 7; ++m) {
      std::int64_t next = 0;
      for (std::int64_t k = 0; k < m; ++k) {
        const Share part = share(n, k, m, Uneven::kAllow);
        EXPECT_EQ(part.begin, next);
        EXPECT_EQ(part.count, n / m + (k < n % m ? 1 : 0));
        next = part.end();
      }
      EXPECT_EQ(next, n);
    }
}

TEST(Share, RefusesAnUnevenSplitWithTheCountsThatWouldDo) {
  EXPECT_THAT(
      [] { share(12, 0, 5, Uneven::kRefuse, "attention heads"); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("12 attention heads cannot be split evenly over 5 ranks"),
                                       HasSubstr("use 1, 2, 3, 4, 6 or 12 ranks"))));
  EXPECT_THAT([] { share(1, 0, 2); }, ThrowsMessage<ConfigError>(HasSubstr("use 1 ranks")));
}

TEST(Share, RefusesSharesThatDoNotExist) {
  EXPECT_THAT([] { share(4, 2, 2); }, ThrowsMessage<Error>(HasSubstr("share 2 of 2")));
  EXPECT_THROW(share(4, -1, 2), Error);
  EXPECT_THROW(share(4, 0, 0), Error);
  EXPECT_THROW(share(-4, 0, 2), Error);
}

TEST(ElementCount, MultipliesAndRefusesWhatNoTensorHas) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({3, 4, 5}), 60);
  EXPECT_EQ(element_count({3, 0, 5}), 0);
  EXPECT_THAT([] { element_count({2, -1}); }, ThrowsMessage<Error>(HasSubstr("[2, -1] has a negative dim")));
  EXPECT_THAT(
      [] {
        element_count({std::numeric_limits<std::int64_t>::max(), 2});
      },
      ThrowsMessage<Error>(HasSubstr("more elements")));
}

TEST(Slab, OfADimLeavesTheOthersWhole) {
  const Slab slab = slab_of_dim({4, 6}, 1, {2, 3});
  EXPECT_THAT(slab.begin, testing::ElementsAre(0, 2));
  EXPECT_THAT(slab.count, testing::ElementsAre(4, 3));
  EXPECT_THAT([] { slab_of_dim({4, 6}, 2, {0, 1}); }, ThrowsMessage<Error>(HasSubstr("[4, 6] has no dim 2")));
  EXPECT_THAT([] { slab_of_dim({4, 6}, 1, {4, 3}); }, ThrowsMessage<Error>(HasSubstr("does not lie inside")));
}

TEST(Slab, EmptyIsTheWholeTensor) {
  const Slab slab = fitted({}, {4, 6}, "here");
  EXPECT_THAT(slab.begin, testing::ElementsAre(0, 0));
  EXPECT_THAT(slab.count, testing::ElementsAre(4, 6));
  EXPECT_TRUE(fitted({}, {}, "here").count.empty());
}

TEST(Slab, ThatDoesNotFitIsRefusedWithShapeAndPlace) {
  const std::vector<Slab> bad = {{{0}, {4}},        {{0, 0}, {4}},
                                 {{0, 0}, {5, 6}},  {{1, 0}, {4, 6}},
                                 {{-1, 0}, {1, 1}}, {{0, 0}, {-1, 6}},
                                 {{5, 0}, {0, 0}},  {{1, 1}, {std::numeric_limits<std::int64_t>::max(), 1}}};
  for (const Slab& slab : bad)
    EXPECT_THAT(
        [&] {
          fitted(slab, {4, 6}, "store.h5: wi");
        },
        ThrowsMessage<Error>(
            AllOf(HasSubstr("store.h5: wi"), HasSubstr("shape [4, 6]"), HasSubstr(to_string(slab.count)))));
}

}  // namespace
}  // namespace trimtab
