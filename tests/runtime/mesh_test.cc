// SPDX-License-Identifier: Apache-2.0
#include "runtime/mesh.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

TEST(Mesh, TensorAxisIsTheFastestAndDataTheSlowest) {
  const Mesh mesh(2, 3, 4);
  EXPECT_EQ(mesh.size(), 24);
  EXPECT_EQ(mesh.coordinate(0), (Coordinate{0, 0, 0}));
  EXPECT_EQ(mesh.coordinate(1), (Coordinate{0, 0, 1}));
  EXPECT_EQ(mesh.coordinate(4), (Coordinate{0, 1, 0}));
  EXPECT_EQ(mesh.coordinate(12), (Coordinate{1, 0, 0}));
  EXPECT_EQ(mesh.coordinate(23), (Coordinate{1, 2, 3}));
}

TEST(Mesh, GroupsAreOrderedAlongTheirAxis) {
  const Mesh mesh(2, 3, 4);
  EXPECT_THAT(mesh.group(17, Axis::kTensor), ElementsAre(16, 17, 18, 19));
  EXPECT_THAT(mesh.group(17, Axis::kPipe), ElementsAre(13, 17, 21));
  EXPECT_THAT(mesh.group(17, Axis::kData), ElementsAre(5, 17));
}

TEST(Mesh, CoordinatesAndGroupsAreConsistentOnEveryShape) {
  for (const Mesh& mesh : {Mesh(), Mesh(1, 1, 5), Mesh(3, 1, 2), Mesh(2, 3, 5), Mesh(4, 2, 1)})
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const Coordinate at = mesh.coordinate(rank);
      EXPECT_EQ(mesh.rank(at), rank);
      for (const Axis axis : kAxes) {
        const std::vector<int> group = mesh.group(rank, axis);
        ASSERT_EQ(static_cast<int>(group.size()), mesh.size(axis));
        EXPECT_EQ(group[static_cast<std::size_t>(at.along(axis))], rank);
        EXPECT_TRUE(std::is_sorted(group.begin(), group.end()));
        for (const int member : group) EXPECT_EQ(mesh.group(member, axis), group);
      }
    }
}

TEST(Mesh, RefusesRanksAndCoordinatesOutside) {
  const Mesh mesh(2, 1, 2);
  EXPECT_THAT([&] { mesh.coordinate(4); },
              ThrowsMessage<Error>(HasSubstr("rank 4 is not one of the 4 ranks")));
  EXPECT_THROW(mesh.coordinate(-1), Error);
  EXPECT_THAT([&] { mesh.rank({0, 1, 0}); }, ThrowsMessage<Error>(HasSubstr("coordinate 1 of axis pipe")));
}

TEST(Mesh, RefusesImpossibleFactors) {
  EXPECT_THAT([] { Mesh(1, 0, 1); }, ThrowsMessage<ConfigError>(HasSubstr("mesh.pipe is 0")));
  EXPECT_THAT([] { Mesh(1, 1, -2); }, ThrowsMessage<ConfigError>(HasSubstr("mesh.tensor is -2")));
  EXPECT_THAT([] { Mesh(1 << 16, 1 << 16, 2); }, ThrowsMessage<ConfigError>(HasSubstr("lower its factors")));
}

TEST(Mesh, WrongWorldSizeNamesTheFactorToChange) {
  const Mesh mesh(2, 2, 4);
  EXPECT_NO_THROW(mesh.check_world_size(16));
  EXPECT_THAT([&] { mesh.check_world_size(8); },
              ThrowsMessage<ConfigError>(
                  AllOf(HasSubstr("data 2 x pipe 2 x tensor 4 needs 16 ranks, but this job has 8"),
                        HasSubstr("set mesh.data to 1"), HasSubstr("set mesh.pipe to 1"),
                        HasSubstr("set mesh.tensor to 2"), HasSubstr("start 16 ranks"))));
  EXPECT_THAT(
      [&] { mesh.check_world_size(12); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("set mesh.tensor to 3"), Not(HasSubstr("mesh.data to")))));
  EXPECT_THAT(
      [&] { mesh.check_world_size(3); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("has 3: start 16 ranks"), Not(HasSubstr("set mesh")))));
}

}  // namespace
}  // namespace trimtab
