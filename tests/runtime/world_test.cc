// SPDX-License-Identifier: Apache-2.0
#include "runtime/world.h"

#include <gmock/gmock.h>

#include <atomic>
#include <stdexcept>

namespace trimtab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(World, OfOneRankHasWorkingCommunicators) {
  World world = solo_world();
  EXPECT_EQ(world.mesh(), Mesh());
  EXPECT_EQ(world.here(), Coordinate());
  EXPECT_EQ(world.all().name(), "all");
  float x = 3;
  for (const Axis axis : kAxes) {
    EXPECT_EQ(world.along(axis).name(), name_of(axis));
    EXPECT_EQ(world.along(axis).size(), 1);
    world.along(axis).all_reduce({&x, 1, DType::kFloat32}, ReduceOp::kSum, Traffic::kTensor);
  }
  EXPECT_EQ(x, 3);
  world.all().barrier();
  EXPECT_EQ(world.traffic()[Traffic::kTensor], (TrafficCount{3, 0, 0}));
  EXPECT_EQ(world.traffic()[Traffic::kControl], (TrafficCount{1, 0, 0}));
}

TEST(World, AsksItsMakerForTheRanksOfEachAxis) {
  std::vector<std::string> asked;
  ThreadGroup group(12);
  World world(Mesh(2, 1, 6), 8, [&](const std::vector<int>& members, const std::string& name) {
    asked.push_back(name);
    return group.communicator(8, members, name);
  });
  EXPECT_THAT(asked, ElementsAre("all", "data", "tensor"));  // nothing to ask for along pipe
  EXPECT_THAT(world.along(Axis::kData).members(), ElementsAre(2, 8));
  EXPECT_THAT(world.along(Axis::kPipe).members(), ElementsAre(8));
  EXPECT_THAT(world.along(Axis::kTensor).members(), ElementsAre(6, 7, 8, 9, 10, 11));
  EXPECT_EQ(world.all().size(), 12);
  EXPECT_EQ(world.rank(), 8);
}

// Whoever watches sees that this rank waits for others to join, and in what.
TEST(World, NotesThatRanksJoinForTheirDevices) {
  ThreadGroup group(2);
  const auto activity = std::make_shared<Activity>();
  std::vector<std::string> joined;
  const World world(
      Mesh(1, 2, 1), 0,
      [&](const std::vector<int>& members, const std::string& name) {
        return group.communicator(0, members, name);
      },
      [&](std::unique_ptr<Communicator> ranks) {
        const Activity::Snapshot seen = activity->snapshot();
        if (seen.waiting) joined.push_back(seen.operations.back().text());
        return ranks;
      },
      activity);
  EXPECT_THAT(joined,
              ElementsAre("0 join of 0 bytes on 'pipe' (control)"));  // along data and tensor it is alone
  EXPECT_FALSE(activity->snapshot().waiting);
}

TEST(World, RanksMeetOnlyAlongTheirAxes) {
  run_ranks(Mesh(2, 3, 2), [](World& world) {
    for (const Axis axis : kAxes) {
      auto sum = static_cast<std::int32_t>(world.rank());
      world.along(axis).all_reduce({&sum, 1, DType::kInt32}, ReduceOp::kSum, Traffic::kTensor);
      std::int32_t expected = 0;
      for (const int member : world.mesh().group(world.rank(), axis)) expected += member;
      EXPECT_EQ(sum, expected);
      EXPECT_EQ(world.along(axis).rank(), world.here().along(axis));
    }
    std::int32_t everyone = 1;
    world.all().all_reduce({&everyone, 1, DType::kInt32}, ReduceOp::kSum, Traffic::kControl);
    EXPECT_EQ(everyone, 12);
  });
}

TEST(World, GroupMustHaveAsManyRanksAsTheMesh) {
  ThreadGroup group(3);
  EXPECT_THAT([&] { thread_worlds(group, Mesh(2, 1, 1)); },
              ThrowsMessage<ConfigError>(HasSubstr("needs 2 ranks")));
}

TEST(RunRanks, RunsEachRankOnce) {
  std::atomic<int> ranks = 0;
  run_ranks(Mesh(1, 2, 2), [&](World& world) { ranks += 1 << (4 * world.rank()); });
  EXPECT_EQ(ranks, 0x1111);
}

TEST(RunRanks, KeepsAConfigErrorAConfigError) {
  EXPECT_THAT(([] {
                run_ranks(Mesh(1, 1, 2), [](World& world) {
                  if (world.rank() == 1) fail_config("no such thing");
                  world.all().barrier();
                });
              }),
              ThrowsMessage<ConfigError>("rank 1: no such thing"));
}

TEST(RunRanks, KeepsWhatWasThrown) {
  try {
    run_ranks(Mesh(1, 1, 3), [](World& world) {
      if (world.rank() == 2) throw std::out_of_range("index");
      world.all().barrier();
    });
    FAIL() << "nothing was thrown";
  } catch (const RankFailure& e) {
    EXPECT_EQ(e.rank(), 2);
    EXPECT_STREQ(e.what(), "rank 2: index");
    EXPECT_THROW(std::rethrow_exception(e.cause()), std::out_of_range);
  }
  EXPECT_THAT([] { run_ranks(Mesh(), [](World&) { throw 1; }); },
              ThrowsMessage<RankFailure>(HasSubstr("no std::exception")));
}

}  // namespace
}  // namespace trimtab
