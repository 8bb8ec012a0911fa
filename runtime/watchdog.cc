// SPDX-License-Identifier: Apache-2.0
#include "runtime/watchdog.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using Doing = RankState::Doing;

constexpr std::string_view kDoing[] = {"computing", "waiting", "ended"};
// A rank that was late or stopped for fewer beats is not called silent: file systems show writes late. In the
// last words of a job whoever missed two beats is more likely at fault than those that did not.
constexpr double kSilentBeats = 5, kSilentBeatsAtTheEnd = 2.5;
// A disk that takes so many beats, and so many seconds, hangs; others are slow.
constexpr int kHungBeats = 10;
constexpr double kHungSeconds = 3.0;
constexpr std::size_t kNamed = 8;
constexpr double kNever = std::numeric_limits<double>::infinity();

double seconds_since(WatchClock::time_point start) {
  return std::chrono::duration<double>(WatchClock::now() - start).count();
}

double seconds_of(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

template <class Number>
bool read_number(const std::string& text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_alive(std::int64_t process) { return ::kill(static_cast<pid_t>(process), 0) == 0 || errno != ESRCH; }

std::string line_of(const Operation& operation) {
  const double seconds = operation.waits()
                             ? seconds_since(operation.begun)
                             : std::chrono::duration<double>(operation.ended - operation.begun).count();
  return fmt::format("{}  {}  {:.6f} s{}\n", operation.text(), operation.place.text(), seconds,
                     operation.waits() ? " so far" : "");
}

// Ranks of which nothing was seen while the job starts.
std::string absent_ranks(const std::vector<int>& ranks) {
  if (ranks.empty()) return "";
  const std::size_t named = std::min(ranks.size(), kNamed);
  const std::string list =
      fmt::format("{}", fmt::join(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(named), ", "));
  const std::string more = ranks.size() > named ? fmt::format(" and {} more", ranks.size() - named) : "";
  return fmt::format(
      "nothing was seen yet of rank {}{}: not started, stopped, ended before MPI_Init (as a script that does "
      "not start trimtab does), or on a host that does not share the run folder",
      list, more);
}

// Returns errno. In place, since a new file each second is a burden to a shared file system.
int overwrite(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return errno;
  int error = 0;
  for (std::size_t at = 0; at < text.size() && error == 0;) {
    const ssize_t written = ::pwrite(file, text.data() + at, text.size() - at, static_cast<off_t>(at));
    if (written < 0)
      error = errno;
    else
      at += static_cast<std::size_t>(written);
  }
  if (error == 0 && ::ftruncate(file, static_cast<off_t>(text.size())) != 0) error = errno;
  if (::close(file) != 0 && error == 0) error = errno;
  return error;
}

}  // namespace

std::string text_of(const RankState& state) {
  return fmt::format("rank={}\thost={}\tprocess={}\tbeat={}\tdoing={}\tseconds={:.1f}\tplace={}\tcall={}",
                     state.rank, state.host, state.process, state.beat,
                     kDoing[static_cast<std::size_t>(state.doing)], state.seconds, state.place, state.call);
}

std::optional<RankState> parse_rank_state(const std::string& line) {
  constexpr std::string_view kKeys[] = {"rank",  "host",    "process", "beat",
                                        "doing", "seconds", "place",   "call"};
  std::vector<std::string> values;
  std::size_t at = 0;
  for (const std::string_view key : kKeys) {
    if (line.compare(at, key.size(), key) != 0 || line.size() <= at + key.size() ||
        line[at + key.size()] != '=')
      return {};
    const std::size_t end = std::min(line.find('\t', at), line.size());
    values.push_back(line.substr(at + key.size() + 1, end - at - key.size() - 1));
    at = std::min(end + 1, line.size());
  }
  RankState state;
  state.host = values[1];
  state.place = values[6];
  state.call = values[7];
  const auto* doing = std::ranges::find(kDoing, values[4]);
  if (doing == std::end(kDoing) || !read_number(values[0], state.rank) ||
      !read_number(values[2], state.process) || !read_number(values[3], state.beat) ||
      !read_number(values[5], state.seconds))
    return {};
  state.doing = static_cast<Doing>(doing - std::begin(kDoing));
  return state;
}

std::string late_ranks(std::span<const Sighting> ranks, double silent_limit) {
  std::vector<std::string> silent, computing, waiting, hosts;
  for (const auto& [state, silence] : ranks) {
    const std::string who = fmt::format("rank {} on {}", state.rank, state.host);
    if (state.doing == Doing::kEnded)
      silent.push_back(fmt::format("{} has ended; it was in {}", who, state.place));
    else if (silence >= silent_limit)
      silent.push_back(
          fmt::format("{} has given no sign of life for {:.0f} s; it was in {}", who, silence, state.place));
    else if (state.doing == Doing::kComputing)
      computing.push_back(
          fmt::format("{} has computed for {:.0f} s in {}", who, state.seconds + silence, state.place));
    else
      waiting.push_back(fmt::format("{} in {} ({})", who, state.call, state.place));
    if (std::ranges::find(hosts, state.host) == hosts.end()) hosts.push_back(state.host);
  }
  std::vector<std::string>& late = !silent.empty() ? silent : !computing.empty() ? computing : waiting;
  const std::size_t more = late.size() - std::min(late.size(), kNamed);
  late.resize(late.size() - more);
  const std::string text =
      fmt::format("{}{}", fmt::join(late, "; "), more > 0 ? fmt::format("; and {} more", more) : "");
  if (&late != &waiting) return text;
  // Files still come through where messages do not.
  hosts.resize(std::min(hosts.size(), kNamed));
  return fmt::format("ranks wait for each other: {}{}", text,
                     hosts.size() > 1 ? fmt::format("; does the network between {} carry their messages?",
                                                    fmt::join(hosts, ", "))
                                      : "");
}

std::vector<RankProcess> processes_of(Communicator& all, const std::string& host) {
  std::vector<RankProcess> out;
  for (const std::string& text : gather_texts(all, fmt::format("{} {}", ::getpid(), host))) {
    const std::size_t space = text.find(' ');
    RankProcess process{text.substr(space + 1)};
    TT_CHECK(read_number(text.substr(0, space), process.id), "'{}' is no process id", text);
    out.push_back(std::move(process));
  }
  return out;
}

std::vector<RankProcess> only_process(int rank, int size, const std::string& host) {
  std::vector<RankProcess> out(static_cast<std::size_t>(size));
  out.at(static_cast<std::size_t>(rank)) = {host, ::getpid()};
  return out;
}

Watchdog::Watchdog(int rank, const std::vector<RankProcess>& ranks, const Activity& activity,
                   WatchOptions options)
    : activity_(activity), options_(std::move(options)), rank_(rank) {
  for (const RankProcess& process : ranks) peers_.push_back({process, -1, WatchClock::now()});
  limits_ = std::thread([this] { keep_limits(); });
  touch_disk([this] {
    std::error_code seen_by_write;
    std::filesystem::create_directories(options_.folder, seen_by_write);
    write(activity_.snapshot());  // from now on this rank is known here, whatever comes next
  });
  thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  {
    const std::scoped_lock lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  thread_.join();
  limits_.join();
}

std::string Watchdog::file_of(const std::string& folder, int rank) {
  return fmt::format("{}/rank-{}.txt", folder, rank);
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    lock.unlock();
    touch_disk([this] { tick(); });
    lock.lock();
    wake_.wait_for(lock, options_.beat, [this] { return ended_; });
  }
  lock.unlock();
  touch_disk([this] { write(activity_.snapshot(), Doing::kEnded); });
  lock.lock();
  written_ = true;
  wake_.notify_all();
}

// Says since when, which is long where a file system hangs.
void Watchdog::touch_disk(const std::function<void()>& body) {
  const auto say = [this](std::optional<WatchClock::time_point> since) {
    const std::scoped_lock lock(mutex_);
    at_disk_since_ = since;
  };
  say(WatchClock::now());
  body();
  say({});
}

void Watchdog::keep_limits() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, options_.beat, [this] { return written_; })) {
    const double stuck = at_disk_since_ ? seconds_since(*at_disk_since_) : 0.0;
    const bool ends = ended_;
    lock.unlock();
    look_at_the_disk(stuck, ends);
    lock.lock();
  }
}

void Watchdog::look_at_the_disk(double stuck, bool ends) {
  const Activity::Snapshot snapshot = activity_.snapshot();
  const double waited = snapshot.waiting ? seconds_since(snapshot.since) : 0.0;
  const double limit = limit_of(snapshot);
  const bool hung = stuck > std::max(kHungSeconds, kHungBeats * seconds_of(options_.beat));
  const std::string hangs =
      fmt::format("{} has not answered for {:.0f} s: does its file system hang?", options_.folder, stuck);
  if (hung && limit > 0 && (ends ? stuck : waited) > limit)
    return give_up(ends ? hangs
                        : fmt::format("waiting for {:.0f} s in {}, which is over the limit of {:.0f} s; {}",
                                      waited, snapshot.operations.back().text(), limit, hangs));
  if (stuck < std::max(seconds_of(options_.late), 2 * disk_mentioned_)) return;
  disk_mentioned_ = stuck;
  options_.warn_without_disk(hangs);
}

double Watchdog::limit_of(const Activity::Snapshot& snapshot) const {
  return seconds_of(snapshot.place.phase == Phase::kStartUp ? options_.startup_limit : options_.limit);
}

void Watchdog::give_up(const std::string& text) {
  if (!gave_up_.exchange(true)) options_.give_up(text);
}

void Watchdog::tick() {
  const Activity::Snapshot snapshot = activity_.snapshot();
  write(snapshot);
  look_for_the_gone();
  const double waited = snapshot.waiting ? seconds_since(snapshot.since) : 0.0;
  if (waited > 2 * seconds_of(options_.beat))
    look_for_the_late(waited, snapshot);
  else
    mentioned_ = 0.0;
}

void Watchdog::write(const Activity::Snapshot& snapshot, std::optional<Doing> doing) {
  RankState state;
  state.rank = rank_;
  state.host = host();
  state.process = ::getpid();
  state.beat = ++beats_;
  state.doing = doing.value_or(snapshot.waiting ? Doing::kWaiting : Doing::kComputing);
  state.seconds = seconds_since(snapshot.since);
  state.place = snapshot.place.text();
  if (!snapshot.operations.empty()) state.call = snapshot.operations.back().text();
  std::string text = text_of(state) + "\nlast operations, the newest at the end:\n";
  for (const Operation& operation : snapshot.operations) text += line_of(operation);
  const std::string path = file_of(options_.folder, rank_);
  const int error = overwrite(path, text);
  if (error == 0 || state.doing == Doing::kEnded || std::exchange(cannot_write_, true)) return;
  options_.warn(
      fmt::format("{}: cannot be written: {}; should rank {} hold the others up, they will not know "
                  "what it does",
                  path, std::strerror(error), rank_));
}

// Launchers end a job when a process dies, but they do not say what it was doing, nor always where.
void Watchdog::look_for_the_gone() {
  const auto is_here = [&](const Peer& peer) {
    return peer.process.id != 0 && peer.process.host == host() && is_alive(peer.process.id);
  };
  if (std::ranges::find_if(peers_, is_here) - peers_.begin() != rank_) return;  // another one speaks
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = peers_[i];
    const auto& [where, id] = peer.process;
    if (id == 0 || where != host() || is_alive(id)) continue;
    const auto last = sight(static_cast<int>(i));
    if (last && last->state.doing == Doing::kEnded) continue;  // it said why
    const std::string text = fmt::format(
        "rank {} on {} (process {}) is gone without a word{}", i, where, id,
        last ? fmt::format("; it last said: in {}, operation {}", last->state.place, last->state.call) : "");
    // The launcher has a beat to end the job by itself, with the exit code of the dead.
    if (std::exchange(peer.is_gone, true))
      give_up(text);
    else
      options_.warn(text);
  }
}

void Watchdog::look_for_the_late(double waited, const Activity::Snapshot& snapshot) {
  const double silent_limit = kSilentBeats * seconds_of(options_.beat);
  const bool starts = snapshot.place.phase == Phase::kStartUp;
  const double limit = limit_of(snapshot);
  const bool over = limit > 0 && waited > limit;
  // A rank that waits speaks for those behind it, and knows more; but the limit holds for the first that is
  // over it, unless the other one is about to be.
  const double speaks_from = !over                           ? waited / 2
                             : waited < limit + silent_limit ? std::max(waited / 2, limit - silent_limit)
                                                             : kNever;
  std::vector<Sighting> ranks;
  std::vector<int> absent;
  std::string unseen;
  for (int rank = 0; rank < static_cast<int>(peers_.size()); ++rank) {
    const auto seen = sight(rank);
    const RankProcess& process = peers_[static_cast<std::size_t>(rank)].process;
    if (!seen && process.id == 0) {
      absent.push_back(rank);
      continue;
    }
    if (!seen) {
      unseen += fmt::format("; nothing is known of rank {} on {}: {} does not show its file", rank,
                            process.host, options_.folder);
      continue;
    }
    const bool waits = seen->state.doing == Doing::kWaiting && seen->silent_seconds < silent_limit;
    if (rank < rank_ && waits && seen->state.seconds > speaks_from) return;  // that one speaks
    ranks.push_back(*seen);
  }
  if (!over && waited < std::max(seconds_of(options_.late), 2 * mentioned_)) return;
  mentioned_ = waited;
  std::string known = absent_ranks(absent);
  const double silent_now = over ? kSilentBeatsAtTheEnd * seconds_of(options_.beat) : silent_limit;
  if (known.empty()) known = ranks.empty() ? "nobody can be asked" : late_ranks(ranks, silent_now);
  const std::string text = fmt::format("waiting for {:.0f} s in {}: {}", waited,
                                       snapshot.operations.back().text(), known + unseen);
  if (!over) return options_.warn(text);
  give_up(fmt::format("{}; that is over {} = {:.0f} s{}", text,
                      starts ? options_.startup_limit_name : "mesh.timeout", limit,
                      options_.stays ? ". What each rank did last is in " + options_.folder : ""));
}

std::optional<Sighting> Watchdog::sight(int rank) {
  std::ifstream file(file_of(options_.folder, rank));
  std::string line;
  if (!std::getline(file, line)) return {};
  auto state = parse_rank_state(line);
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  if (state && peer.process.id == 0) {
    const bool changes = peer.beat >= 0 && state->beat != peer.beat;
    peer.beat = state->beat;
    if (!changes) return {};
    peer.process = {state->host, state->process};
    peer.changed = WatchClock::now();
  }
  // A file of an earlier run in this folder says nothing.
  if (!state || state->process != peer.process.id || state->host != peer.process.host) return {};
  if (state->beat != peer.beat) {
    peer.beat = state->beat;
    peer.changed = WatchClock::now();
  }
  return Sighting{std::move(*state), seconds_since(peer.changed)};
}

}  // namespace trimtab
