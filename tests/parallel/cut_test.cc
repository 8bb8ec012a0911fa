// SPDX-License-Identifier: Apache-2.0
#include "parallel/cut.h"

#include <gmock/gmock.h>

#include "runtime/check.h"

namespace trimtab {
namespace {

TEST(Cut, WholeUnitsInOrderCoverEverything) {
  // 9 heads of 64 columns in 3 groups, as of SmolLM2, on two ranks.
  EXPECT_EQ(share_of_units(576, 192, 0, 2), (Share{0, 384}));
  EXPECT_EQ(share_of_units(576, 192, 1, 2), (Share{384, 192}));
  for (const int ranks : {1, 2, 3, 4, 5}) {
    std::int64_t next = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const Share own = share_of_units(40, 4, rank, ranks);
      EXPECT_EQ(own.begin, next);
      EXPECT_EQ(own.count % 4, 0);
      EXPECT_LE(own.count, share_of_units(40, 4, 0, ranks).count) << "no rank holds more than the first";
      next = own.end();
    }
    EXPECT_EQ(next, 40);
  }
  EXPECT_THROW(share_of_units(40, 3, 0, 2), Error);
}

TEST(Cut, TheWholeShapeIsToldFromAnyShare) {
  EXPECT_EQ(whole_shape({7, 192}, {1, 576, 192}), (Shape{7, 576}));
  EXPECT_EQ(whole_shape({7, 192}, kWhole), (Shape{7, 192}));
}

}  // namespace
}  // namespace trimtab
