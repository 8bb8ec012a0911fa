// SPDX-License-Identifier: Apache-2.0
#include "experiments/shared_hash.h"

#include <gmock/gmock.h>

#include <array>
#include <atomic>

#include "data/temp_folder.h"
#include "runtime/check.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using testing::HasSubstr;

TEST(SharedHash, AFileOfAllIsReadOnce) {
  const TempFolder folder;
  const std::string file = folder.write("weights", "");
  std::atomic<int> reads = 0;
  run_ranks(Mesh(4, 1, 1), [&](World& world) {
    const std::string hash = shared_hash(world.all(), file, [&] { return std::to_string(++reads); });
    EXPECT_EQ(hash, "1");
  });
  EXPECT_EQ(reads, 1);
}

// As where containers of one host have files of their own under one path.
TEST(SharedHash, FilesOfTheirOwnAreEachRead) {
  const TempFolder folder;
  const std::array files = {folder.write("a", ""), folder.write("b", ""), folder.write("c", "")};
  run_ranks(Mesh(3, 1, 1), [&](World& world) {
    const std::string& own = files.at(static_cast<std::size_t>(world.rank()));
    EXPECT_EQ(shared_hash(world.all(), own, [&] { return own; }), own);
  });
}

TEST(SharedHash, NothingThere) {
  run_ranks(Mesh(1, 1, 1), [](World& world) {
    EXPECT_THAT([&] { shared_hash(world.all(), "/nowhere/weights", [] { return ""; }); },
                testing::ThrowsMessage<Error>(HasSubstr("/nowhere/weights: cannot be read: No such file")));
  });
}

}  // namespace
}  // namespace trimtab
