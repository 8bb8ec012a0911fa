// SPDX-License-Identifier: Apache-2.0
#include "runtime/agreement.h"

#include <gmock/gmock.h>

#include "runtime/world.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Agreement, OneYesIsYesForAll) {
  run_ranks(Mesh(3, 1, 1), [](World& world) {
    EXPECT_TRUE(any_of(world.all(), world.rank() == 2));
    EXPECT_FALSE(any_of(world.all(), false));
  });
}

TEST(Agreement, TextsOfAnyLengthComeInTheOrderOfTheRanks) {
  run_ranks(Mesh(3, 1, 1), [](World& world) {
    const std::string mine[] = {"", std::string("a\0b", 3), "twelve bytes"};
    EXPECT_THAT(gather_texts(world.all(), mine[world.rank()]), ElementsAre(mine[0], mine[1], mine[2]));
    EXPECT_THAT(gather_texts(world.all(), ""), ElementsAre("", "", ""));
    EXPECT_EQ(text_of_rank(world.all(), mine[world.rank()], 2), mine[2]);
  });
}

TEST(Agreement, WhoDiffersIsNamedByWorldRank) {
  run_ranks(Mesh(2, 1, 2), [](World& world) {
    const std::string here = world.rank() == 3 ? "other" : "same";
    // Along the data axis rank 3 is compared with rank 1, and ranks 0 and 2 with each other.
    const std::vector<int> expected = world.here().tensor == 1 ? std::vector<int>{3} : std::vector<int>{};
    EXPECT_EQ(ranks_that_differ(world.along(Axis::kData), here), expected);
    try {
      require_same(world.all(), "the file", here, "copy it");
      ADD_FAILURE() << "rank " << world.rank() << " went on";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("the file of rank 3 is not that of rank 0; copy it"));
    }
  });
}

TEST(Agreement, ValuesThatDifferAreToldWithTheirRanks) {
  run_ranks(Mesh(4, 1, 1), [](World& world) {
    EXPECT_NO_THROW(require_same_value(world.all(), "the size", "7", "mend it"));
    const std::string mine[] = {"7", "8", "9 or so", "8"};
    EXPECT_THAT(
        [&] { require_same_value(world.all(), "the size", mine[world.rank()], "mend it"); },
        ThrowsMessage<ConfigError>("the size is '8' on rank 1, 3 and '9 or so' on rank 2, but '7' on rank 0; "
                                   "mend it"));
  });
}

}  // namespace
}  // namespace trimtab
