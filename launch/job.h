// SPDX-License-Identifier: Apache-2.0
//
// The job that this process is a rank of: started by mpirun or srun, or alone. It can be stopped cleanly
// (signals.h).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/experiment_config.h"
#include "launch/devices.h"
#include "launch/launcher.h"
#include "runtime/mpi_session.h"
#include "runtime/watchdog.h"
#include "runtime/world.h"

namespace trimtab {

// "rank 3 of 8 on node-b: " in a job of several ranks, as far as the environment tells; "" in a process
// alone. For messages, also before and after MPI.
std::string rank_label();

// The longest single wait of a communicator: over mesh.timeout and mesh.startup_timeout, for where nobody
// watches (the watch itself has to be agreed on), and should the watch fail.
std::chrono::milliseconds deadline_of(const MeshConfig& mesh);

// Where ranks say what they do (runtime/watchdog.h).
struct RankFiles {
  std::string folder;  // empty: nowhere, and nobody who is late is named
  bool stay = true;    // else whoever ends the job removes the folder
};

// Owns MPI where a launcher started this process. An error of one rank must end the whole job: it is not
// caught before this is gone.
class Job {
 public:
  // Starts MPI. From here on somebody watches, as `watch()` does later, with the limits of `mesh`. Throws
  // ConfigError if a launcher without MPI started several processes, which would all be rank 0, or if ranks
  // were started with other arguments (same_command.h).
  Job(const MeshConfig& mesh, const RankFiles& files);
  explicit Job(const ExperimentConfig& config);
  // The work is done: signals are ignored from here on (signals.h), since ranks leave one after the other.
  // That they do is watched, too.
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // Where the ranks of a run say how they start: nowhere while another job is at it, since its files are
  // there.
  static RankFiles start_files(const std::string& output);

  // This rank's World, on the device that the experiment names; this outlives it. Collective. Throws
  // ConfigError unless the mesh has exactly the job's ranks, and TRIMTAB_ATTENTION is the same on all.
  World world(const ExperimentConfig& config);
  // The same for host memory alone, whatever the experiment says of devices.
  World host_world(const ExperimentConfig& config);
  // From now on what this rank logs is also in OUTPUT/ranks/rank-N.log. For whoever has the run's lock, as is
  // watch().
  void log_into(const std::string& output);
  // Watches over `world`, which outlives it, with files in the run folder or in `files`, in place of whoever
  // watched over the start; null for one rank.
  std::unique_ptr<Watchdog> watch(World& world, const ExperimentConfig& config);
  std::unique_ptr<Watchdog> watch(World& world, const MeshConfig& mesh, const RankFiles& files);
  bool alone() const { return !session_ || session_->size() == 1; }
  // What rank 0 answers, on every rank. Collective.
  std::string ask_first_rank(const std::function<std::string()>& ask);
  int size() const { return session_ ? session_->size() : 1; }
  const LauncherPlace& place() const { return place_; }
  // Among the ranks of this host, as MPI says.
  HostPlace place_on_host() const;
  // Rank 0 prints and writes what is the job's.
  bool speaks() const { return !session_ || session_->rank() == 0; }

 private:
  void log_to(const std::string& file) const;
  void start_mpi();
  void meet();
  void watch_start(int rank, const std::vector<RankProcess>& ranks, WatchOptions options);
  World world_of(const ExperimentConfig& config, const DeviceCommunicatorMaker& device);

  MeshConfig mesh_;
  RankFiles files_;
  LauncherPlace place_;
  std::optional<MpiSession> session_;
  std::vector<RankProcess> processes_;  // by rank, once they have met
  // Of the time before a world is watched over, and of the end.
  std::shared_ptr<Activity> starting_ = std::make_shared<Activity>();
  std::unique_ptr<Watchdog> start_watch_;
};

// Throws ConfigError if this is a job of several ranks: `verb` runs in one process.
void require_one_process(const std::string& verb);

}  // namespace trimtab
