// SPDX-License-Identifier: Apache-2.0
#include "launch/same_command.h"

#include <gmock/gmock.h>

#include "runtime/world.h"

namespace trimtab {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using testing::ThrowsMessage;

using Command = std::vector<std::string>;

void compare(const std::vector<Command>& commands) {
  run_ranks(Mesh(static_cast<int>(commands.size()), 1, 1), [&](World& world) {
    require_same_command(world.all(), commands[static_cast<std::size_t>(world.rank())]);
  });
}

TEST(SameCommand, ProgramsInTwoPlacesAndSettingsMayDiffer) {
  EXPECT_NO_THROW(compare({{"a/trimtab", "train", "x.yaml", "--set", "a=1"},
                           {"b/trimtab", "train", "--set=a=2", "x.yaml", "--set", "b=3"}}));
}

TEST(SameCommand, AnotherVerbIsNamedWithItsRanks) {
  const Command train = {"trimtab", "train", "x.yaml"}, evaluate = {"trimtab", "evaluate", "x.yaml"};
  EXPECT_THAT(
      [&] {
        compare({train, evaluate, train, evaluate});
      },
      ThrowsMessage<ConfigError>(HasSubstr("`trimtab train x.yaml` on rank 0, but "
                                           "`trimtab evaluate x.yaml` on rank 1, 3; start all")));
}

TEST(SameCommand, AnotherFlagOrValueIsNamed) {
  const Command plain = {"trimtab", "evaluate", "x.yaml"};
  Command more = plain;
  more.emplace_back("--ensemble");
  EXPECT_THAT(
      [&] {
        compare({more, plain});
      },
      ThrowsMessage<ConfigError>(HasSubstr("`trimtab evaluate x.yaml --ensemble` on rank 0, but "
                                           "`trimtab evaluate x.yaml` on rank 1;")));
  Command one = plain, two = plain;
  one.insert(one.end(), {"--split", "dev"});
  two.insert(two.end(), {"--split", "test"});
  EXPECT_THAT([&] { compare({one, two}); }, ThrowsMessage<ConfigError>(HasSubstr("--split test")));
}

TEST(SameCommand, ThisProcessHasOne) { EXPECT_THAT(command_line(), SizeIs(testing::Ge(1u))); }

}  // namespace
}  // namespace trimtab
