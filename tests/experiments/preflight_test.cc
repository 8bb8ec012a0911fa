// SPDX-License-Identifier: Apache-2.0
//
// The parts of the preflight with ranks as threads: values and speeds of links, a clock that is off, a folder
// that is not the same for all, and what the report makes of it.
#include "experiments/preflight.h"

#include <gmock/gmock.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/temp_folder.h"
#include "experiments/folder_check.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Preflight, LinksBringTheRightValues) {
  run_ranks(Mesh(3, 1, 2), [](World& world) {
    for (const Axis axis : kAxes) EXPECT_EQ(wrong_values(world.along(axis), at::kCPU), "");
    EXPECT_EQ(wrong_values(world.all(), at::kCPU), "");
    EXPECT_THAT(measured_speeds(world.along(Axis::kPipe), at::kCPU), IsEmpty());
    const std::vector<LinkSpeed> speeds = measured_speeds(world.along(Axis::kData), at::kCPU);
    EXPECT_EQ(speeds.front().bytes, 8);
    EXPECT_EQ(speeds.back().bytes, 8 << 20);
    for (const LinkSpeed& speed : speeds) {
      EXPECT_GT(speed.exchange, 0.0);
      EXPECT_GT(speed.all_reduce, 0.0);
    }
  });
}

TEST(Preflight, AClockThatIsAheadIsFoundWithinItsUncertainty) {
  constexpr double kAhead = 1234.5;
  run_ranks(Mesh(2, 1, 1), [](World& world) {
    const auto off = static_cast<std::int64_t>(world.rank() * kAhead * 1e9);
    const ClockOffset found = clock_offset(world.all(), 1, [off] { return wall_clock() + off; });
    if (world.rank() == 0) {
      EXPECT_NEAR(found.seconds, kAhead, found.uncertainty + 1e-6);
    }
  });
}

TEST(Preflight, AFolderThatAllShare) {
  const TempFolder folder;
  run_ranks(Mesh(4, 1, 1), [&](World& world) {
    const FolderCheck found = check_shared_folder(world.all(), folder.file("shared"), "mark");
    EXPECT_EQ(found.fault, "");
    EXPECT_GT(found.free_bytes, 0u);
    EXPECT_GT(found.write_seconds, 0.0);
  });
}

TEST(Preflight, AFolderOfARankItself) {
  const TempFolder folder;
  std::array<std::string, 3> faults;
  run_ranks(Mesh(3, 1, 1), [&](World& world) {
    const std::string own = folder.file(world.rank() == 2 ? "other" : "shared");
    faults[static_cast<std::size_t>(world.rank())] =
        check_shared_folder(world.all(), own, "mark", std::chrono::milliseconds(50)).fault;
  });
  EXPECT_THAT(faults[0], AllOf(HasSubstr("shared: what rank 2 wrote"), HasSubstr("all hosts share")));
  EXPECT_EQ(faults[1], "");
  EXPECT_THAT(faults[2], HasSubstr("other: what rank 0 wrote"));
}

TEST(Preflight, AFolderThatCannotBeMade) {
  const TempFolder folder;
  const std::string file = folder.write("file", "no folder");
  run_ranks(Mesh(2, 1, 1), [&](World& world) {
    const std::string fault =
        check_shared_folder(world.all(), file, "mark", std::chrono::milliseconds(50)).fault;
    EXPECT_THAT(fault, HasSubstr(file));
  });
}

TEST(RunFolders, OneThatAllShare) {
  const TempFolder folder;
  run_ranks(Mesh(4, 1, 1), [&](World& world) {
    EXPECT_NO_THROW(require_shared_folder(world.all(), folder.file("shared")));
  });
  EXPECT_TRUE(std::filesystem::is_empty(folder.file("shared")));
}

TEST(RunFolders, OneOfARankItself) {
  const TempFolder folder;
  run_ranks(Mesh(3, 1, 1), [&](World& world) {
    const std::string own = folder.file(world.rank() == 2 ? "other" : "shared");
    EXPECT_THAT([&] { require_shared_folder(world.all(), own, std::chrono::milliseconds(50)); },
                testing::ThrowsMessage<ConfigError>(
                    AllOf(HasSubstr(own), HasSubstr("not seen by rank 2; put the run folder"))));
  });
}

TEST(RunFolders, OneThatCannotBeMade) {
  const TempFolder folder;
  const std::string file = folder.write("file", "no folder");
  run_ranks(Mesh(2, 1, 1), [&](World& world) {
    EXPECT_THAT([&] { require_shared_folder(world.all(), file); },
                testing::ThrowsMessage<Error>(HasSubstr(file)));
  });
}

// Three ranks on two hosts, as they would tell of themselves.
std::vector<RankFacts> three_ranks() {
  std::vector<RankFacts> out(3);
  for (int rank = 0; rank < 3; ++rank) {
    RankFacts& facts = out[static_cast<std::size_t>(rank)];
    facts.rank = rank;
    facts.here.data = rank;
    facts.host = rank < 2 ? "a" : "b";
    facts.cores = {0, 1, 2, 3, 8};
    facts.versions = {{"mpi", "4.1"}, {"kernel", "6.1"}};
    facts.links = {{"data", {0, 1, 2}, {{8, 1e-6 * (rank + 1), 5e-6}, {8'000'000, 0.004, 0.01}}}};
  }
  return out;
}

TEST(Preflight, FactsTravelWhole) {
  RankFacts facts = three_ranks()[1];
  facts.faults = {{"values on data", "'é' \"quoted\"\n"}};
  facts.clocks = {{2, {-0.25, 1e-5}}};
  EXPECT_EQ(to_text(facts_from_text(to_text(facts))), to_text(facts));
  EXPECT_EQ(facts_from_text(to_text(facts)).faults[0].text, facts.faults[0].text);
}

TEST(Preflight, NothingWrong) {
  PreflightReport report = report_of(Mesh(3, 1, 1), three_ranks());
  report.memory = "host";
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_EQ(report.axes[0].speeds[0].exchange_rank, 2);
  const std::string text = text_of(report);
  EXPECT_THAT(text, AllOf(HasSubstr("3 ranks on 2 hosts: data 3"), HasSubstr("0-3,8"), HasSubstr("3 us"),
                          HasSubstr("2.0 GB/s"), HasSubstr("no fault")));
  const auto json = nlohmann::json::parse(json_of(report));
  EXPECT_EQ(json.at("hosts").size(), 2);
  EXPECT_EQ(json.at("axes")[0].at("speeds")[1].at("exchange_seconds"), 0.004);
}

TEST(Preflight, VersionsThatDifferAreNamed) {
  auto ranks = three_ranks();
  ranks[1].versions[0].second = ranks[2].versions[0].second = "5.0";
  ranks[2].versions[1].second = "6.9";
  const PreflightReport report = report_of(Mesh(3, 1, 1), ranks);
  ASSERT_THAT(report.faults, SizeIs(1));
  EXPECT_THAT(
      text_of(report),
      AllOf(HasSubstr("FIRST FAULT: rank 1 on a: versions: mpi is 5.0 on ranks 1, 2, but 4.1 on rank 0"),
            HasSubstr("warning: rank 2 on b: versions: kernel is 6.9 on rank 2")));
}

TEST(Preflight, AVersionThatOneRankLacks) {
  auto ranks = three_ranks();
  ranks[2].versions.erase(ranks[2].versions.begin());
  EXPECT_THAT(text_of(report_of(Mesh(3, 1, 1), ranks)), HasSubstr("mpi is none on rank 2"));
}

TEST(Preflight, TheLauncherOfAnotherMpiComesFirst) {
  auto ranks = three_ranks();
  ranks[1].faults = {{"device", "none"}};
  for (RankFacts& rank : ranks) rank.launcher = "PMI", rank.launcher_size = 3;
  EXPECT_THAT(report_of(Mesh(3, 1, 1), ranks).faults, SizeIs(1));
  ranks[0].launcher_size = 12;
  EXPECT_THAT(
      text_of(report_of(Mesh(3, 1, 1), ranks)),
      HasSubstr("FIRST FAULT: rank 0 on a: launcher: PMI says that it started 12 ranks, but 4.1 knows of 3"));
}

TEST(Preflight, OneDeviceForTwoRanksOfAHost) {
  auto ranks = three_ranks();
  for (RankFacts& rank : ranks) rank.device_id = "0000:01:00.0";
  const PreflightReport report = report_of(Mesh(3, 1, 1), ranks);
  ASSERT_THAT(report.faults, SizeIs(1));  // rank 2 is on another host
  EXPECT_THAT(text_of(report), HasSubstr("FIRST FAULT: rank 1 on a: device: computes on the same device as "
                                         "rank 0"));
}

TEST(Preflight, WhatMattersMoreComesFirst) {
  auto ranks = three_ranks();
  ranks[0].faults = {{"values on data", "wrong sum"}};
  ranks[1].faults = {{"shared folder", "not there"}};
  ranks[2].faults = {{"device", "none"}};
  const std::string text = text_of(report_of(Mesh(3, 1, 1), ranks));
  EXPECT_THAT(text, AllOf(HasSubstr("FIRST FAULT: rank 2 on b: device: none"),
                          HasSubstr("also: rank 1 on a: shared folder: not there"),
                          HasSubstr("also: rank 0 on a: values on data: wrong sum"), HasSubstr("WRONG")));
}

TEST(Preflight, AClockThatIsFarOffIsAWarning) {
  auto ranks = three_ranks();
  ranks[0].clocks = {{2, {-3.5, 0.001}}};
  const PreflightReport report = report_of(Mesh(3, 1, 1), ranks);
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_THAT(text_of(report), HasSubstr("warning: rank 2 on b: clock: is -3.500 s from that of a"));
}

}  // namespace
}  // namespace trimtab
