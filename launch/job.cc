// SPDX-License-Identifier: Apache-2.0
#include "launch/job.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <numeric>
#include <thread>
#include <utility>

#include "experiments/machine.h"
#include "experiments/run_lock.h"
#include "launch/guard.h"
#include "launch/launcher.h"
#include "launch/limits.h"
#include "launch/same_command.h"
#include "launch/signals.h"
#include "runtime/agreement.h"
#include "runtime/check.h"
#include "runtime/log.h"

namespace trimtab {
namespace {

using std::chrono::milliseconds;

milliseconds milliseconds_of(double seconds) {
  return std::chrono::ceil<milliseconds>(std::chrono::duration<double>(seconds));
}

WatchOptions watch_options(const MeshConfig& mesh, const RankFiles& files) {
  WatchOptions options;
  options.folder = files.folder;
  options.stays = files.stay;
  options.late = milliseconds_of(mesh.late);
  options.limit = milliseconds_of(mesh.timeout);
  options.startup_limit = milliseconds_of(mesh.startup_timeout);
  options.warn = [](const std::string& text) { TT_LOG(warning, "{}", text); };
  options.warn_without_disk = [](const std::string& text) { log_without_disk(LogLevel::warning, text); };
  return options;
}

void leave(const RankFiles& files) {
  std::error_code gone_already;
  if (!files.stay) std::filesystem::remove_all(files.folder, gone_already);
}

// What may hang, as disks and kernels of NCCL do, holds the end up for a short time only.
void try_for(std::chrono::seconds time, std::function<void()> what) {
  std::promise<void> ended;
  std::future<void> done = ended.get_future();
  std::thread([what = std::move(what), ended = std::move(ended)]() mutable {
    what();
    ended.set_value();
  }).detach();
  done.wait_for(time);
}

// Says why before anything is ended, since other threads may then fail by it and speak. `first` ends what
// would hold the process. Before MPI_Init is through, its launcher ends the job.
[[noreturn]] void end_job(const std::string& why, const RankFiles& files,
                          const std::function<void()>& first = {}) {
  try_for(std::chrono::seconds(5), [=] {
    TT_LOG(error, "{}ends the job: {}", rank_label(), why);
    if (first) first();
    leave(files);
  });
  MpiSession::end_job(kFailure);
  std::_Exit(kFailure);
}

void check_place(const LauncherPlace& place, const MpiSession& session) {
  if (place.rank != session.rank() || (place.size != 0 && place.size != session.size()))
    TT_LOG(warning, "{} says rank {} of {}, MPI says rank {} of {}: MPI's counts", place.launcher, place.rank,
           place.size, session.rank(), session.size());
  if (place.local_rank >= 0 && place.local_rank != session.local_rank())
    TT_LOG(
        warning,
        "{} says rank {} of this host, MPI says {}: MPI's counts; are there ranks with the same host name on "
        "several machines?",
        place.launcher, place.local_rank, session.local_rank());
}

}  // namespace

milliseconds deadline_of(const MeshConfig& mesh) {
  constexpr milliseconds kGrace = std::chrono::minutes(1), kNever = std::chrono::years(10);
  if (mesh.timeout == 0 || mesh.startup_timeout == 0) return kNever;
  return milliseconds_of(std::max(mesh.timeout, mesh.startup_timeout)) + kGrace;
}

std::string rank_label() {
  const LauncherPlace place = known_place();
  if (place.launcher.empty() || place.size == 1) return "";
  const std::string of = place.size > 0 ? fmt::format(" of {}", place.size) : "";
  return fmt::format("rank {}{} on {}: ", place.rank, of, host_name());
}

RankFiles Job::start_files(const std::string& output) {
  return {lock_holder(output).empty() ? RunFolder(output).ranks() : ""};
}

Job::Job(const ExperimentConfig& config) : Job(config.mesh, start_files(config.output)) {}

Job::Job(const MeshConfig& mesh, const RankFiles& files) : mesh_(mesh), files_(files) {
  catch_stop_signals();
  place_ = find_launcher(environment());
  if (place_.starts_mpi) {
    start_mpi();
    log_to("");
    check_place(place_, *session_);
    if (alone())
      start_watch_.reset();  // the launcher said otherwise
    else
      meet();
    if (const int restarts = restarts_of(environment()); restarts > 0 && speaks())
      TT_LOG(info, "Slurm has queued this job again {} time{}", restarts, restarts == 1 ? "" : "s");
  } else if (place_.size > 1) {
    fail_config(
        "{} started {} processes, but not as ranks of MPI: each would train by itself; start them with "
        "`mpirun -n {} trimtab ...` or `srun --mpi=pmix trimtab ...`",
        place_.launcher, place_.size, place_.size);
  }
}

Job::~Job() {
  ignore_stop_signals();
  if (alone() || files_.folder.empty() || std::uncaught_exceptions() > 0) return;
  starting_->enter(Phase::kEnd);
  watch_start(session_->rank(), processes_, watch_options(mesh_, files_));
  const NotedOperation leaving(starting_.get(), "MPI_Finalize", "all", name_of(Traffic::kControl), 0);
  session_.reset();
}

void Job::log_to(const std::string& file) const {
  LogOptions log;
  if (session_) {
    log.rank = session_->rank();
    log.world = session_->size();
  }
  log.file = file;
  configure_log(log);
}

void Job::log_into(const std::string& output) {
  const int rank = session_ ? session_->rank() : 0;
  const std::string folder = RunFolder(output).ranks();
  std::error_code seen_by_opening;
  std::filesystem::create_directories(folder, seen_by_opening);
  try {
    log_to(fmt::format("{}/rank-{}.log", folder, rank));
  } catch (const ConfigError& error) {
    log_to("");
    TT_LOG(warning, "{}; rank {} goes on without its log", error.what(), rank);
  }
  TT_LOG(debug, "rank {} of {} on {}, process {}", rank, size(), host_name(), ::getpid());
}

// MPI_Init waits for every rank, and ranks that do not come are its commonest fault.
void Job::start_mpi() {
  const bool watched = place_.size > 1 && !files_.folder.empty();
  if (watched) {
    WatchOptions options = watch_options(mesh_, files_);
    if (const milliseconds limit = limit_of_mpi_start(options.startup_limit); limit < options.startup_limit) {
      options.startup_limit = limit;
      options.startup_limit_name = "the limit for MPI to start";
    }
    watch_start(place_.rank, only_process(place_.rank, place_.size, host_name()), std::move(options));
  }
  const NotedOperation waiting(watched ? starting_.get() : nullptr, "MPI_Init", "all",
                               name_of(Traffic::kControl), 0);
  session_.emplace();
}

// Ranks say what they were asked to do and who they are: from then on one that is late is known by name.
void Job::meet() {
  if (!start_watch_ && !files_.folder.empty())  // the launcher did not say how many ranks there are
    watch_start(session_->rank(), only_process(session_->rank(), session_->size(), host_name()),
                watch_options(mesh_, files_));
  std::vector<int> everyone(static_cast<std::size_t>(session_->size()));
  std::iota(everyone.begin(), everyone.end(), 0);
  const auto all = mpi_communicator(*session_, everyone, "start", {.deadline = deadline_of(mesh_)});
  all->note_in(*starting_);
  require_same_command(*all, command_line());
  processes_ = processes_of(*all, host_name());
  if (!files_.folder.empty()) watch_start(session_->rank(), processes_, watch_options(mesh_, files_));
}

void Job::watch_start(int rank, const std::vector<RankProcess>& ranks, WatchOptions options) {
  options.give_up = [files = files_](const std::string& text) { end_job(text, files); };
  start_watch_.reset();
  start_watch_ = std::make_unique<Watchdog>(rank, ranks, *starting_, std::move(options));
}

World Job::world(const ExperimentConfig& config) {
  World world = world_of(config, device_communicators(config, place_on_host()));
  require_same_value(world.all(), fmt::format("the variable {} of the environment", kAttentionVariable),
                     chosen_attention(), "set it on all hosts (mpirun -x), or unset it everywhere");
  return world;
}

World Job::host_world(const ExperimentConfig& config) { return world_of(config, {}); }

World Job::world_of(const ExperimentConfig& config, const DeviceCommunicatorMaker& device) {
  const Mesh mesh = mesh_of(config);
  if (session_) {
    if (!alone() && !start_watch_ && !files_.folder.empty())  // a further one
      watch_start(session_->rank(), processes_, watch_options(mesh_, files_));
    return mpi_world(mesh, *session_, {.deadline = deadline_of(config.mesh)}, device, starting_);
  }
  if (mesh.size() > 1)
    fail_config("mesh: {} needs {} ranks, but this is one process; start it as `mpirun -n {} trimtab ...`",
                mesh.text(), mesh.size(), mesh.size());
  return solo_world(device);
}

HostPlace Job::place_on_host() const {
  if (!session_) return {};
  return {session_->local_rank(), session_->local_size()};
}

std::unique_ptr<Watchdog> Job::watch(World& world, const ExperimentConfig& config) {
  return watch(world, config.mesh, {RunFolder(config.output).ranks()});
}

std::unique_ptr<Watchdog> Job::watch(World& world, const MeshConfig& mesh, const RankFiles& files) {
  if (alone()) return nullptr;
  WatchOptions options = watch_options(mesh, files);
  // Kernels that wait for other ranks would hold the process.
  options.give_up = [&world, files](const std::string& text) {
    end_job(text, files, [&world] { world.give_up(); });
  };
  start_watch_.reset();
  starting_ = std::make_shared<Activity>();  // the last one is the world's
  return std::make_unique<Watchdog>(world.rank(), processes_, world.activity(), std::move(options));
}

std::string Job::ask_first_rank(const std::function<std::string()>& ask) {
  if (alone()) return ask();
  World world =
      mpi_world({session_->size(), 1, 1}, *session_, {.deadline = deadline_of(mesh_)}, {}, starting_);
  return text_of_rank(world.all(), speaks() ? ask() : "");
}

void require_one_process(const std::string& verb) {
  if (!rank_label().empty()) fail_config("trimtab {} runs in one process; start it without mpirun", verb);
}

}  // namespace trimtab
