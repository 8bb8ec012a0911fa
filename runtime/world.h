// SPDX-License-Identifier: Apache-2.0
//
// One rank's place in the job and its communicators: all that it knows of other ranks. A program builds one
// World for each rank and passes it down by reference; it owns the communicators.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/activity.h"
#include "runtime/communicator.h"
#include "runtime/mesh.h"
#include "runtime/mpi_communicator.h"
#include "runtime/thread_communicator.h"

namespace trimtab {

// Makes this rank's end of a communicator of world ranks. World asks for "all", "data", "pipe" and "tensor"
// in this order, on every rank, so that a maker may be collective over the members.
using CommunicatorMaker =
    std::function<std::unique_ptr<Communicator>(const std::vector<int>& members, const std::string& name)>;

// Makes, of a communicator for host memory, one of the same ranks for the memory of this rank's device.
using DeviceCommunicatorMaker =
    std::function<std::unique_ptr<Communicator>(std::unique_ptr<Communicator> control)>;

class World {
 public:
  // Collective over all ranks if `make` is. Lists of one rank become a SoloCommunicator without asking
  // `make`. With `device`, the communicators along the axes move device memory; all() moves host memory
  // always. What they wait for, in being made as well, is noted in `activity`.
  World(const Mesh& mesh, int rank, const CommunicatorMaker& make, const DeviceCommunicatorMaker& device = {},
        std::shared_ptr<Activity> activity = std::make_shared<Activity>());

  const Mesh& mesh() const { return mesh_; }
  int rank() const { return mesh_.rank(here_); }
  const Coordinate& here() const { return here_; }
  // The ranks that differ from this one at most along `axis`; rank() there is here().along(axis).
  Communicator& along(Axis axis) { return *along_[static_cast<std::size_t>(axis)]; }
  // Every rank of the job, by world rank.
  Communicator& all() { return *all_; }

  // What this rank does; its communicators note their calls there.
  Activity& activity() { return *activity_; }

  // Ends what the communicators along the axes have queued on this rank's device; from any thread, when the
  // job is to end.
  void give_up();

  // What this rank's communicators counted, together.
  TrafficCounters traffic() const;

 private:
  Mesh mesh_;
  Coordinate here_;
  std::shared_ptr<Activity> activity_;  // outlives the communicators
  std::unique_ptr<Communicator> all_;
  std::array<std::unique_ptr<Communicator>, kAxes.size()> along_;
};

// A job of one rank.
World solo_world(const DeviceCommunicatorMaker& device = {});

// The World of this rank of an MPI job. Collective over all ranks of `session`, which outlives it. Throws
// ConfigError on every rank, with the factor to change, if the mesh does not have exactly the job's ranks, or
// if ranks were given different meshes.
World mpi_world(const Mesh& mesh, MpiSession& session, const MpiOptions& options = {},
                const DeviceCommunicatorMaker& device = {},
                std::shared_ptr<Activity> activity = std::make_shared<Activity>());

// The World of each rank of a group of threads, by rank. `group` has mesh.size() ranks and outlives them.
std::vector<World> thread_worlds(ThreadGroup& group, const Mesh& mesh);

// A rank of run_ranks() failed: says which, and keeps what it threw.
class RankFailure : public Error {
 public:
  RankFailure(int rank, const std::string& what, std::exception_ptr cause);

  int rank() const { return rank_; }
  const std::exception_ptr& cause() const { return cause_; }

 private:
  int rank_;
  std::exception_ptr cause_;
};

// Runs `body` in one thread for each rank of `mesh` and returns when all have ended. If one throws, the
// others' waits end with PeerFailure, and the first failure is thrown here: a ConfigError as ConfigError,
// anything else as RankFailure.
void run_ranks(const Mesh& mesh, const std::function<void(World&)>& body,
               std::chrono::milliseconds deadline = kThreadDeadline);

}  // namespace trimtab
