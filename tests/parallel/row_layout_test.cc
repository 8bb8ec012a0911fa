// SPDX-License-Identifier: Apache-2.0
#include "parallel/row_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(RowLayout, PutsRowsOneBehindTheOther) {
  const RowLayout layout({3, 0, 5});
  EXPECT_THAT(layout.offsets(), ElementsAre(0, 3, 3, 8));
  EXPECT_EQ(layout.rows(), 3);
  EXPECT_EQ(layout.tokens(), 8);
  EXPECT_EQ(layout.begin(2), 3);
  EXPECT_EQ(layout.length(1), 0);
  EXPECT_EQ(layout.longest(), 5);
}

TEST(RowLayout, OfNothing) {
  EXPECT_EQ(RowLayout().rows(), 0);
  EXPECT_EQ(RowLayout().tokens(), 0);
  EXPECT_EQ(RowLayout().longest(), 0);
  EXPECT_EQ(RowLayout(), RowLayout(std::vector<std::int64_t>{}));
}

TEST(RowLayout, RefusesNegativeLengths) {
  EXPECT_THAT([] { RowLayout({2, -1}); }, ThrowsMessage<Error>(HasSubstr("row 1 has length -1")));
}

TEST(RowLayout, ExtendsEachRowByItsOwn) {
  const RowLayout layout = extended(RowLayout({3, 0, 5}), {1, 2, 0});
  EXPECT_THAT(layout.offsets(), ElementsAre(0, 4, 6, 11));
  EXPECT_THAT(
      [] {
        extended(RowLayout({3}), {1, 2});
      },
      ThrowsMessage<Error>(HasSubstr("2 extra lengths for 1 rows")));
  EXPECT_THAT([] { extended(RowLayout({3}), {-4}); }, ThrowsMessage<Error>(HasSubstr("row 0 has length -1")));
}

}  // namespace
}  // namespace trimtab
