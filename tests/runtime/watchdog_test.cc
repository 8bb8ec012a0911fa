// SPDX-License-Identifier: Apache-2.0
#include "runtime/watchdog.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include "data/temp_folder.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using Doing = RankState::Doing;
using namespace std::chrono_literals;

RankState state(int rank, Doing doing, double seconds) {
  RankState out;
  out.rank = rank;
  out.host = "node-b";
  out.process = 4711;
  out.beat = 12;
  out.doing = doing;
  out.seconds = seconds;
  out.place = "forward, step 12, micro-batch 3";
  out.call = "813 barrier of 0 bytes on 'all' (control)";
  return out;
}

TEST(RankState, ComesBackFromItsLine) {
  const RankState written = state(5, Doing::kWaiting, 30.25);
  const auto read = parse_rank_state(text_of(written));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->rank, 5);
  EXPECT_EQ(read->host, "node-b");
  EXPECT_EQ(read->process, 4711);
  EXPECT_EQ(read->beat, 12);
  EXPECT_EQ(read->doing, Doing::kWaiting);
  EXPECT_NEAR(read->seconds, written.seconds, 0.06);
  EXPECT_EQ(read->place, written.place);
  EXPECT_EQ(read->call, written.call);
}

TEST(RankState, OtherLinesAreNone) {
  const std::string line = text_of(state(5, Doing::kWaiting, 30));
  for (std::size_t length = 0; length < line.find("\tcall="); ++length)
    EXPECT_FALSE(parse_rank_state(line.substr(0, length))) << line.substr(0, length);
  std::string other = line;
  other.replace(other.find("waiting"), 7, "resting");
  EXPECT_FALSE(parse_rank_state(other));
  EXPECT_FALSE(parse_rank_state("rank=x" + line.substr(6)));
}

TEST(LateRanks, TheSilentComeFirstThenThoseThatCompute) {
  const Sighting waits{state(0, Doing::kWaiting, 30), 0.5};
  const Sighting computes{state(5, Doing::kComputing, 31), 1};
  const Sighting silent{state(6, Doing::kWaiting, 1), 12};
  EXPECT_EQ(late_ranks(std::vector{waits, computes}, 5),
            "rank 5 on node-b has computed for 32 s in forward, step 12, micro-batch 3");
  EXPECT_THAT(late_ranks(std::vector{Sighting{computes.state, 3}}, 5), HasSubstr("has computed for 34 s"))
      << "its file is three seconds old";
  EXPECT_EQ(late_ranks(std::vector{waits, computes, silent}, 5),
            "rank 6 on node-b has given no sign of life for 12 s; it was in forward, step 12, micro-batch 3");
  EXPECT_THAT(
      late_ranks(std::vector{waits, waits}, 5),
      AllOf(StartsWith("ranks wait for each other: rank 0 on node-b in 813 barrier"), HasSubstr("; rank 0")));
  EXPECT_THAT(late_ranks(std::vector(11, computes), 5), HasSubstr("; and 3 more"));
}

TEST(LateRanks, WhereAllWaitOnSeveralHostsTheNetworkIsNamed) {
  const Sighting here{state(0, Doing::kWaiting, 30), 0.5};
  Sighting there = here;
  there.state.host = "node-c";
  EXPECT_THAT(late_ranks(std::vector{here, there, here}, 5),
              ::testing::EndsWith("; does the network between node-b, node-c carry their messages?"));
  EXPECT_THAT(late_ranks(std::vector{here, here}, 5), ::testing::Not(HasSubstr("network")));
}

// Two ranks, of which rank 1 makes rank 0 wait until rank 0's watchdog has said something.
struct Watched {
  std::string said;
  std::vector<std::string> files;
};

Watched watch_a_late_rank(const std::string& folder, std::chrono::milliseconds limit, bool stays = true) {
  Watched out;
  std::promise<std::string> spoken;
  std::future<std::string> heard = spoken.get_future();
  std::atomic<bool> has_spoken = false;
  run_ranks(Mesh(2, 1, 1), [&](World& world) {
    WatchOptions options;
    options.folder = folder;
    options.beat = 10ms;
    options.stays = stays;
    options.late = limit == 0ms ? 60ms : 1h;
    options.limit = options.startup_limit = limit;
    const auto say = [&](const std::string& text) {
      if (!has_spoken.exchange(true)) spoken.set_value(text);
    };
    (limit == 0ms ? options.warn : options.give_up) = say;
    (limit == 0ms ? options.give_up : options.warn) = [](const std::string&) {};
    const Watchdog watchdog(world.rank(), processes_of(world.all(), "node-a"), world.activity(), options);
    world.activity().begin_step(7);
    world.all().enter(Phase::kForward, 2);
    if (world.rank() == 1) out.said = heard.get();
    world.all().barrier();
  });
  for (const int rank : {0, 1}) {
    std::ifstream file(Watchdog::file_of(folder, rank));
    out.files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return out;
}

TEST(Watchdog, NamesTheRankThatIsWaitedFor) {
  const TempFolder folder;
  const Watched watched = watch_a_late_rank(folder.file("ranks"), 0ms);
  EXPECT_THAT(watched.said, AllOf(HasSubstr("barrier of 0 bytes on 'all' (control)"),
                                  HasSubstr("rank 1 on node-a has computed for "),
                                  HasSubstr(" in forward, step 7, micro-batch 2")));
  for (const std::string& text : watched.files)
    EXPECT_THAT(text, AllOf(HasSubstr("doing=ended"), HasSubstr("barrier of 0 bytes on 'all'")));
}

TEST(Watchdog, EndsTheJobAtTheLimit) {
  const TempFolder folder;
  EXPECT_THAT(watch_a_late_rank(folder.file("ranks"), 60ms).said,
              AllOf(HasSubstr("rank 1 on node-a has computed for "), HasSubstr("mesh.timeout"),
                    HasSubstr(folder.file("ranks"))));
}

TEST(Watchdog, SendsNobodyToAFolderThatGoes) {
  const TempFolder folder;
  EXPECT_THAT(watch_a_late_rank(folder.file("ranks"), 60ms, /*stays=*/false).said,
              AllOf(HasSubstr("mesh.timeout"), Not(HasSubstr(folder.file("ranks")))));
}

// Rank 1 waits, and so does rank 0, always for nine tenths as long: its file is written here.
TEST(Watchdog, TheLimitHoldsAlsoWhereALowerRankWaitsLessLong) {
  const TempFolder folder;
  const std::string ranks = folder.file("ranks");
  Activity activity;
  activity.begin("MPI_Init", "all", "control", 0);
  std::atomic<bool> has_ended = false;
  WatchOptions options;
  options.folder = ranks;
  options.beat = 5ms;
  options.late = 1h;
  options.limit = options.startup_limit = 200ms;
  options.warn = [](const std::string&) {};
  options.give_up = [&](const std::string&) { has_ended = true; };
  const Watchdog watch(1, only_process(1, 2, "node-a"), activity, options);
  double waited = 0.0;
  for (std::int64_t beat = 0; !has_ended && waited < 10; ++beat) {
    std::string line;
    std::getline(std::ifstream(Watchdog::file_of(ranks, 1)) >> std::ws, line);
    if (const auto seen = parse_rank_state(line)) waited = seen->seconds;
    RankState lower = state(0, Doing::kWaiting, 0.9 * waited);
    lower.beat = beat;
    std::ofstream(Watchdog::file_of(ranks, 0)) << text_of(lower) << '\n';
  }
  EXPECT_TRUE(has_ended) << "after " << waited << " s";
}

TEST(Watchdog, EndsTheJobAlsoWhereTheFolderIsGone) {
  const TempFolder folder;
  std::ofstream(folder.file("ranks")) << "a file where the folder should be";
  EXPECT_THAT(watch_a_late_rank(folder.file("ranks"), 60ms).said,
              AllOf(HasSubstr(": nobody can be asked; nothing is known of rank 0 on node-a"),
                    HasSubstr("; nothing is known of rank 1"), HasSubstr("mesh.timeout")));
}

TEST(Watchdog, SaysOnceThatItCannotWrite) {
  const TempFolder folder;
  std::ofstream(folder.file("ranks")) << "a file where the folder should be";
  std::promise<std::string> spoken;
  int times = 0;
  World world = solo_world();
  {
    WatchOptions options;
    options.folder = folder.file("ranks");
    options.beat = 1ms;
    options.warn = [&](const std::string& text) {
      if (++times == 1) spoken.set_value(text);
    };
    const Watchdog watchdog(world.rank(), processes_of(world.all(), "node-a"), world.activity(), options);
    EXPECT_THAT(spoken.get_future().get(), AllOf(HasSubstr("rank-0.txt"), HasSubstr("cannot be written")));
  }
  EXPECT_EQ(times, 1);
}

// The file of rank 0 of two, of which the other cannot be seen, on a disk that hangs from `hang()` to
// `release()`: a pipe that nobody reads lets nobody open it.
class HungDisk {
 public:
  HungDisk() { std::filesystem::create_directories(folder()); }
  ~HungDisk() { release(); }
  HungDisk(const HungDisk&) = delete;
  HungDisk& operator=(const HungDisk&) = delete;

  std::string folder() const { return folder_.file("ranks"); }
  void hang() const {
    const std::string pipe = folder_.file("pipe");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    std::filesystem::rename(pipe, Watchdog::file_of(folder(), 0));
  }
  // Opened for both, it lets all go on that wait to open it, whatever for.
  void release() const {
    const std::string pipe = Watchdog::file_of(folder(), 0);
    const int both = ::open(pipe.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    std::filesystem::remove(pipe);
    ::close(both);
  }

  WatchOptions options(std::chrono::milliseconds late, std::chrono::milliseconds limit) const {
    WatchOptions out;
    out.folder = folder();
    out.beat = 10ms;
    out.late = late;
    out.limit = out.startup_limit = limit;
    out.warn = [](const std::string&) {};
    return out;
  }

 private:
  TempFolder folder_;
};

TEST(HungDisk, IsNamed) {
  HungDisk disk;
  std::promise<std::string> spoken;
  std::atomic<bool> has_spoken = false;
  WatchOptions options = disk.options(200ms, 0ms);
  options.warn_without_disk = [&](const std::string& text) {
    if (!has_spoken.exchange(true)) spoken.set_value(text);
  };
  const Activity activity;
  const Watchdog watchdog(0, only_process(0, 2, "node-a"), activity, options);
  disk.hang();
  EXPECT_THAT(spoken.get_future().get(), AllOf(StartsWith(disk.folder()), HasSubstr("has not answered for")));
  disk.release();
}

TEST(HungDisk, DoesNotKeepAWaitFromItsLimit) {
  HungDisk disk;
  std::promise<std::string> spoken;
  WatchOptions options = disk.options(1h, 50ms);
  options.give_up = [&](const std::string& text) { spoken.set_value(text); };
  Activity activity;
  const Watchdog watchdog(0, only_process(0, 2, "node-a"), activity, options);
  disk.hang();
  activity.begin("barrier", "all", "control", 0);
  EXPECT_THAT(spoken.get_future().get(), AllOf(StartsWith("waiting for "), HasSubstr("barrier"),
                                               HasSubstr("does its file system hang?")));
  disk.release();
}

TEST(HungDisk, DoesNotKeepTheJobFromItsEnd) {
  HungDisk disk;
  std::string said;
  WatchOptions options = disk.options(1h, 50ms);
  options.give_up = [&](const std::string& text) {
    said = text;
    disk.release();
  };
  const Activity activity;
  auto watchdog = std::make_unique<Watchdog>(0, only_process(0, 2, "node-a"), activity, options);
  disk.hang();
  std::this_thread::sleep_for(50ms);
  watchdog.reset();
  EXPECT_THAT(said, HasSubstr("has not answered for"));
}

// Ranks that cannot talk yet, each with a watch of its own: two that wait, of which one goes on, and one that
// never came, though an earlier run left its file.
struct WatchedStart {
  WatchedStart(const std::string& folder, int size) : folder_(folder) {
    for (int rank = 0; rank < size; ++rank) activities.emplace_back();
  }
  std::unique_ptr<Watchdog> watch(int rank, const std::function<void(const std::string&)>& warn) {
    Activity& activity = activities[static_cast<std::size_t>(rank)];
    activity.begin("MPI_Init", "all", "control", 0);
    WatchOptions options;
    options.folder = folder_;
    options.beat = 10ms;
    options.late = 100ms;
    options.warn = warn;
    return std::make_unique<Watchdog>(rank, only_process(rank, static_cast<int>(activities.size()), "node-a"),
                                      activity, options);
  }
  std::deque<Activity> activities;
  std::string folder_;
};

TEST(Watchdog, NamesRanksThatDoNotStart) {
  const TempFolder folder;
  const std::string ranks = folder.file("ranks");
  std::filesystem::create_directories(ranks);
  std::ofstream(Watchdog::file_of(ranks, 2)) << text_of(state(2, Doing::kWaiting, 1));
  WatchedStart start(ranks, 3);
  std::promise<std::string> spoken;
  std::atomic<bool> has_spoken = false;
  // Whoever of the two is first to have seen the other.
  const auto say = [&](const std::string& text) {
    if (text.find("nothing was seen yet of rank 2: ") != std::string::npos && !has_spoken.exchange(true))
      spoken.set_value(text);
  };
  const auto first = start.watch(0, say), second = start.watch(1, say);
  EXPECT_THAT(spoken.get_future().get(), HasSubstr("MPI_Init"));
}

// Rank 1's file is written here: it changes until rank 0 has seen it.
TEST(Watchdog, NamesARankThatStopsWhileItStarts) {
  const TempFolder folder;
  WatchedStart start(folder.file("ranks"), 2);
  std::promise<std::string> spoken;
  std::atomic<bool> has_seen = false, has_spoken = false;
  const auto first = start.watch(0, [&](const std::string& text) {
    if (text.find("nothing was seen") == std::string::npos) has_seen = true;
    if (text.find("has given no sign of life") != std::string::npos && !has_spoken.exchange(true))
      spoken.set_value(text);
  });
  RankState other = state(1, Doing::kWaiting, 0.1);
  for (; !has_seen; ++other.beat)
    std::ofstream(Watchdog::file_of(folder.file("ranks"), 1)) << text_of(other) << '\n';
  EXPECT_THAT(spoken.get_future().get(), HasSubstr("rank 1 on node-b has given no sign of life"));
}

TEST(Watchdog, SaysFromItsFirstMomentOnThatItsRankIsThere) {
  const TempFolder folder;
  WatchedStart start(folder.file("ranks"), 2);
  for (int turn = 0; turn < 2; ++turn) {  // the second one in the place of one that has ended
    const auto watch = start.watch(0, [](const std::string&) {});
    std::string line;
    std::ifstream file(Watchdog::file_of(folder.file("ranks"), 0));
    std::getline(file, line);
    EXPECT_THAT(line, HasSubstr("doing=waiting"));
  }
}

TEST(Watchdog, ALimitOfTheStartIsCalledByItsName) {
  const TempFolder folder;
  Activity activity;
  activity.begin("MPI_Init", "all", "control", 0);
  std::promise<std::string> spoken;
  std::atomic<bool> has_spoken = false;
  WatchOptions options;
  options.folder = folder.file("ranks");
  options.beat = 5ms;
  options.startup_limit = 50ms;
  options.startup_limit_name = "the limit of MPI_Init";
  options.warn = [](const std::string&) {};
  options.give_up = [&](const std::string& text) {
    if (!has_spoken.exchange(true)) spoken.set_value(text);
  };
  const Watchdog watch(0, only_process(0, 2, "node-a"), activity, options);
  EXPECT_THAT(spoken.get_future().get(),
              AllOf(HasSubstr("nothing was seen yet of rank 1: "), HasSubstr("ended before MPI_Init"),
                    HasSubstr("that is over the limit of MPI_Init = 0 s")));
}

}  // namespace
}  // namespace trimtab
