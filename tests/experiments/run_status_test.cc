// SPDX-License-Identifier: Apache-2.0
//
// What a run's folder tells of its ranks, from files and times that are written by hand.
#include "experiments/run_status.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "experiments/run_lock.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/watchdog.h"

namespace trimtab {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

namespace fs = std::filesystem;
using Doing = RankState::Doing;

// Long ago, as by the clock of another host.
const fs::file_time_type kNow = fs::file_time_type::clock::now() - 1h;

class StatusOfRanks : public ::testing::Test {
 protected:
  StatusOfRanks() {
    fs::create_directories(run_.ranks());
    fs::last_write_time(run_.lock(), kNow - 1min);
  }
  void TearDown() override { fs::remove_all(path_); }

  void begin() const {
    write_file_atomically(run_.config(), "name: tiny\nmesh: {data: 3}\ntrain: {steps: 9}\n");
  }
  void write(int rank, Doing doing, fs::file_time_type when) const {
    const RankState state{rank, "a", 71, 5, doing, 2.0, "forward, step 90", ""};
    const std::string file = Watchdog::file_of(run_.ranks(), rank);
    write_file_atomically(file, text_of(state) + '\n');
    fs::last_write_time(file, when);
  }
  RunStatus status() const { return status_of(run_.path()).at(0); }

  const std::string path_ = fmt::format("{}trimtab-status-{}", ::testing::TempDir(), ::getpid());
  const RunFolder run_{path_ + "/rte"};
  std::optional<FileLock> lock_ = try_lock_run(run_.path());
};

TEST_F(StatusOfRanks, ASilentRankIsSaidToBeSo) {
  begin();
  write(0, Doing::kWaiting, kNow);
  write(1, Doing::kComputing, kNow - 4s);
  write(2, Doing::kComputing, kNow - 9s);
  EXPECT_THAT(status().ranks,
              ElementsAre("rank 0 on a: waiting for 2 s in forward, step 90",
                          "rank 1 on a: computing for 2 s in forward, step 90",
                          "rank 2 on a: no sign of life for 9 s; last: computing in forward, step 90"));
  const std::string silent = "\nrank 2 on a: no sign of life for 9 s; last: computing in forward, step 90\n";
  EXPECT_THAT(status_text({status()}), AllOf(HasSubstr(silent), HasSubstr("last sign of a rank: 1:0")));
  EXPECT_THAT(status_page("runs", {status()}, false), HasSubstr(silent));
}

TEST_F(StatusOfRanks, OneThatHasEndedIsNotSilent) {
  begin();
  write(0, Doing::kEnded, kNow - 30s);
  write(1, Doing::kWaiting, kNow);
  EXPECT_THAT(status().ranks,
              ElementsAre("rank 0 on a: ended in forward, step 90", StartsWith("rank 1 on a: w")));
}

TEST_F(StatusOfRanks, LeftOverFilesAreOfNoRank) {
  write(0, Doing::kWaiting, kNow);
  write(1, Doing::kComputing, kNow - 2min);  // before the lock was taken
  write(3, Doing::kWaiting, kNow);
  EXPECT_THAT(status().ranks, ElementsAre(StartsWith("rank 0 "), StartsWith("rank 3 ")))
      << "any mesh may start";
  begin();
  EXPECT_THAT(status().ranks, ElementsAre(StartsWith("rank 0 "))) << "of three";
}

TEST_F(StatusOfRanks, OfARunThatHasEndedAreNotShown) {
  begin();
  write(0, Doing::kWaiting, kNow);
  write(1, Doing::kComputing, kNow - 9s);
  lock_.reset();
  EXPECT_THAT(status().ranks, IsEmpty());
  EXPECT_THAT(status_text({status()}), Not(HasSubstr("rank 0 on")));
}

TEST_F(StatusOfRanks, OfARunThatStarts) {
  write(0, Doing::kWaiting, kNow);
  for (const std::string& folder : {run_.path(), run_.path() + "/", path_}) {
    const std::vector<RunStatus> runs = status_of(folder);
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_THAT(status_text(runs), AllOf(StartsWith("rte: starting (process "), HasSubstr("\nno step yet\n"),
                                         HasSubstr("\nrank 0 on a: waiting for 2 s in forward, step 90\n")));
  }
  lock_.reset();
  EXPECT_THAT(status_text({status()}),
              StartsWith("rte: gone before its first checkpoint: ranks/rank-0.log says how\nno step yet\n"));
}

TEST_F(StatusOfRanks, APageReloadsItselfIfItIsWrittenAgain) {
  EXPECT_THAT(status_page("runs", {status()}, true), HasSubstr("http-equiv=\"refresh\""));
  EXPECT_THAT(status_page("runs", {status()}, false), Not(HasSubstr("http-equiv")));
}

}  // namespace
}  // namespace trimtab
