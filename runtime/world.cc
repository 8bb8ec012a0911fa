// SPDX-License-Identifier: Apache-2.0
#include "runtime/world.h"

#include <exception>
#include <thread>
#include <utility>

#include "runtime/solo_communicator.h"

namespace trimtab {

World::World(const Mesh& mesh, int rank, const CommunicatorMaker& make, const DeviceCommunicatorMaker& device,
             std::shared_ptr<Activity> activity)
    : mesh_(mesh), here_(mesh.coordinate(rank)), activity_(std::move(activity)) {
  const auto made = [&](const std::vector<int>& members,
                        const std::string& name) -> std::unique_ptr<Communicator> {
    if (members.size() == 1) return std::make_unique<SoloCommunicator>(name, rank);
    return make(members, name);
  };
  std::vector<int> everyone;
  for (int r = 0; r < mesh.size(); ++r) everyone.push_back(r);
  all_ = made(everyone, "all");
  all_->note_in(*activity_);
  for (const Axis axis : kAxes) {
    std::unique_ptr<Communicator> along = made(mesh.group(rank, axis), std::string(name_of(axis)));
    auto& kept = along_[static_cast<std::size_t>(axis)];
    if (device) {  // which waits for the others, as NCCL does for ranks to connect
      const NotedOperation joining(along->size() > 1 ? activity_.get() : nullptr, "join", along->name(),
                                   name_of(Traffic::kControl), 0);
      along = device(std::move(along));
    }
    kept = std::move(along);
    kept->note_in(*activity_);
  }
}

void World::give_up() {
  for (const auto& communicator : along_) communicator->give_up();
}

TrafficCounters World::traffic() const {
  TrafficCounters total = all_->counters();
  for (const auto& communicator : along_) total += communicator->counters();
  return total;
}

World solo_world(const DeviceCommunicatorMaker& device) {
  return World(
      Mesh(), 0,
      [](const std::vector<int>& members, const std::string& name) {
        return std::make_unique<SoloCommunicator>(name, members.front());
      },
      device);
}

namespace {

// Ranks whose meshes have the same size but another shape would wait for each other in different groups.
void check_same_mesh(const Mesh& mesh, Communicator& all) {
  constexpr std::int64_t kFactors = kAxes.size();
  std::vector<std::int32_t> mine;
  for (const Axis axis : kAxes) mine.push_back(mesh.size(axis));
  std::vector<std::int32_t> every(mine.size() * static_cast<std::size_t>(all.size()));
  all.all_gather({mine.data(), kFactors, DType::kInt32}, {every.data(), kFactors * all.size(), DType::kInt32},
                 Traffic::kControl);
  for (int rank = 0; rank < all.size(); ++rank) {
    const std::int32_t* factors = every.data() + static_cast<std::size_t>(rank) * mine.size();
    const Mesh theirs(factors[0], factors[1], factors[2]);
    const Mesh first(every[0], every[1], every[2]);
    if (theirs != first)
      fail_config(
          "rank {} was given the mesh {}, but rank 0 {}: start all ranks with the same file and --set", rank,
          theirs.text(), first.text());
  }
}

}  // namespace

World mpi_world(const Mesh& mesh, MpiSession& session, const MpiOptions& options,
                const DeviceCommunicatorMaker& device, std::shared_ptr<Activity> activity) {
  // Before the size is checked: a rank that throws alone leaves the others waiting.
  std::vector<int> everyone;
  for (int rank = 0; rank < session.size(); ++rank) everyone.push_back(rank);
  const auto all = mpi_communicator(session, everyone, "mesh", options);
  all->note_in(*activity);
  check_same_mesh(mesh, *all);
  mesh.check_world_size(session.size());
  return World(
      mesh, session.rank(),
      [&](const std::vector<int>& members, const std::string& name) {
        return mpi_communicator(session, members, name, options);
      },
      device, std::move(activity));
}

std::vector<World> thread_worlds(ThreadGroup& group, const Mesh& mesh) {
  mesh.check_world_size(group.size());
  std::vector<World> worlds;
  for (int rank = 0; rank < mesh.size(); ++rank)
    worlds.emplace_back(mesh, rank, [&](const std::vector<int>& members, const std::string& name) {
      return group.communicator(rank, members, name);
    });
  return worlds;
}

RankFailure::RankFailure(int rank, const std::string& what, std::exception_ptr cause)
    : Error(fmt::format("rank {}: {}", rank, what)), rank_(rank), cause_(std::move(cause)) {}

namespace {

std::string what_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is no std::exception was thrown";
  }
}

[[noreturn]] void rethrow(int rank, const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const ConfigError& e) {
    throw ConfigError(fmt::format("rank {}: {}", rank, e.what()));
  } catch (...) {
    throw RankFailure(rank, what_of(thrown), thrown);
  }
}

}  // namespace

void run_ranks(const Mesh& mesh, const std::function<void(World&)>& body,
               std::chrono::milliseconds deadline) {
  ThreadGroup group(mesh.size(), deadline);
  std::vector<World> worlds = thread_worlds(group, mesh);
  std::vector<std::exception_ptr> thrown(worlds.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < worlds.size(); ++i)
      threads.emplace_back([&, i] {
        const int rank = static_cast<int>(i);
        try {
          body(worlds[i]);
          group.leave(rank);
        } catch (...) {
          thrown[i] = std::current_exception();
          group.abort(rank, what_of(thrown[i]));
        }
      });
  }
  // The first to fail, unless it only left early: then whoever waited for it has the message.
  if (const auto first = group.failed_rank(); first && thrown[static_cast<std::size_t>(*first)])
    rethrow(*first, thrown[static_cast<std::size_t>(*first)]);
  for (std::size_t i = 0; i < thrown.size(); ++i)
    if (thrown[i]) rethrow(static_cast<int>(i), thrown[i]);
}

}  // namespace trimtab
