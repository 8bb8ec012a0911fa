// SPDX-License-Identifier: Apache-2.0
//
// Finds out who holds a job up. A thread beside each rank writes once a second, into one small file of the
// run folder, what its rank does (activity.h); while its rank waits, it reads the files of the others, says
// who is late, and ends the job when a wait is over its limit or a process of this host is gone. No message
// is sent, so that it works where messages hang. Only the first of the ranks that wait speaks. Clocks of
// other hosts are never read. A second thread, which touches no file, keeps the limits where the folder's
// file system hangs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "runtime/activity.h"
#include "runtime/communicator.h"

namespace trimtab {

// What a rank's file says in its first line.
struct RankState {
  int rank = 0;
  std::string host;
  std::int64_t process = 0;
  std::int64_t beat = 0;  // grows while the process runs
  enum class Doing { kComputing, kWaiting, kEnded } doing = Doing::kComputing;
  double seconds = 0.0;  // for how long
  std::string place;     // Place::text()
  std::string call;      // the last operation; "" for none
};

std::string text_of(const RankState& state);
// Nothing if `line` is not one that text_of() made.
std::optional<RankState> parse_rank_state(const std::string& line);

// A rank as another one sees it.
struct Sighting {
  RankState state;
  double silent_seconds = 0.0;  // since its beat last changed
};

// Who holds up whom, in words: ranks that give no sign of life, else those that compute, else all, since
// they wait for each other.
std::string late_ranks(std::span<const Sighting> ranks, double silent_limit);

struct WatchOptions {
  std::string folder;  // made if need be
  bool stays = true;   // once the job has ended, so that messages may send people there
  std::chrono::milliseconds beat{1'000};
  // Waits that are longer are mentioned, and again each time they have doubled.
  std::chrono::milliseconds late{30'000};
  // Waits that are longer end the job; 0: never. `startup_limit` holds before the first step.
  std::chrono::milliseconds limit{0};
  std::chrono::milliseconds startup_limit{0};
  std::string startup_limit_name = "mesh.startup_timeout";  // in messages
  std::function<void(const std::string&)> warn;
  // The same where warn() may wait for a log file on the disk that hangs.
  std::function<void(const std::string&)> warn_without_disk = [](const std::string&) {};
  // Ends the job, also where the folder hangs. Called once.
  std::function<void(const std::string&)> give_up;
};

// The process of a rank. 0: not known yet.
struct RankProcess {
  std::string host;
  std::int64_t id = 0;
};

// Of each rank, by rank; this one's is on `host`. Collective over `all`.
std::vector<RankProcess> processes_of(Communicator& all, const std::string& host);
// Of `size` ranks that cannot tell each other anything yet: rank `rank` is this process.
std::vector<RankProcess> only_process(int rank, int size, const std::string& host);

class Watchdog {
 public:
  // Beside rank `rank` of `ranks`. Those whose process is not known are known by their files alone, once
  // those change; a file that does not is of an earlier run. `activity` outlives this. `warn` and `give_up`
  // are called on threads of this.
  Watchdog(int rank, const std::vector<RankProcess>& ranks, const Activity& activity, WatchOptions options);
  // Says that this rank has ended; another Watchdog in its place says otherwise. What hangs in it gives up at
  // the limit.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // "FOLDER/rank-3.txt"
  static std::string file_of(const std::string& folder, int rank);

 private:
  struct Peer {
    RankProcess process;
    std::int64_t beat = -1;
    WatchClock::time_point changed;  // when `beat` did
    bool is_gone = false;
  };

  void run();
  void keep_limits();
  void look_at_the_disk(double stuck, bool ends);
  void touch_disk(const std::function<void()>& body);
  double limit_of(const Activity::Snapshot& snapshot) const;  // in seconds; 0: none
  void give_up(const std::string& text);
  void tick();
  const std::string& host() const { return peers_[static_cast<std::size_t>(rank_)].process.host; }
  void write(const Activity::Snapshot& snapshot, std::optional<RankState::Doing> doing = {});
  void look_for_the_gone();
  void look_for_the_late(double waited, const Activity::Snapshot& snapshot);
  std::optional<Sighting> sight(int rank);

  const Activity& activity_;
  WatchOptions options_;
  int rank_;
  std::vector<Peer> peers_;  // by rank, this one included
  std::int64_t beats_ = 0;
  double mentioned_ = 0.0;  // the wait, in seconds, that was last spoken of
  bool cannot_write_ = false;
  double disk_mentioned_ = 0.0;  // the same of the second thread

  std::atomic<bool> gave_up_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;    // this rank has; its last words are still to be written
  bool written_ = false;  // they are
  std::optional<WatchClock::time_point> at_disk_since_;
  std::thread limits_, thread_;
};

}  // namespace trimtab
