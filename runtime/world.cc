// SPDX-License-Identifier: Apache-2.0
#include "runtime/world.h"

#include <exception>
#include <thread>
#include <utility>

#include "runtime/solo_communicator.h"

namespace trimtab {

World::World(const Mesh& mesh, int rank, const CommunicatorMaker& make)
    : mesh_(mesh), here_(mesh.coordinate(rank)) {
  const auto made = [&](const std::vector<int>& members,
                        const std::string& name) -> std::unique_ptr<Communicator> {
    if (members.size() == 1) return std::make_unique<SoloCommunicator>(name, rank);
    return make(members, name);
  };
  std::vector<int> everyone;
  for (int r = 0; r < mesh.size(); ++r) everyone.push_back(r);
  all_ = made(everyone, "all");
  for (const Axis axis : kAxes)
    along_[static_cast<std::size_t>(axis)] = made(mesh.group(rank, axis), std::string(name_of(axis)));
}

TrafficCounters World::traffic() const {
  TrafficCounters total = all_->counters();
  for (const auto& communicator : along_) total += communicator->counters();
  return total;
}

World solo_world() {
  return World(Mesh(), 0, [](const std::vector<int>& members, const std::string& name) {
    return std::make_unique<SoloCommunicator>(name, members.front());
  });
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
