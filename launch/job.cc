// SPDX-License-Identifier: Apache-2.0
#include "launch/job.h"

#include <cstdlib>

#include "experiments/machine.h"
#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// The launcher's own pair of variables; the innermost launcher comes first, and scopes are never mixed.
struct Launcher {
  const char* rank;
  const char* size;
};
constexpr Launcher kLaunchers[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                   {"PMI_RANK", "PMI_SIZE"}};

}  // namespace

bool started_by_mpi() {
  for (const Launcher& launcher : kLaunchers)
    if (!variable(launcher.size).empty()) return true;
  return !variable("PMIX_RANK").empty();
}

std::string rank_label() {
  for (const auto& [rank, size] : kLaunchers) {
    const std::string count = variable(size);
    if (!count.empty())
      return count == "1" ? "" : fmt::format("rank {} of {} on {}: ", variable(rank), count, host_name());
  }
  const std::string rank = variable("PMIX_RANK");
  return rank.empty() ? "" : fmt::format("rank {} on {}: ", rank, host_name());
}

Job::Job() {
  if (started_by_mpi()) session_.emplace();
}

World Job::world(const Mesh& mesh) {
  if (session_) return mpi_world(mesh, *session_);
  if (mesh.size() > 1)
    fail_config("mesh: {} needs {} ranks, but this is one process; start it as `mpirun -n {} trimtab ...`",
                mesh.text(), mesh.size(), mesh.size());
  return solo_world();
}

std::string Job::ask_first_rank(const std::function<std::string()>& ask) {
  if (alone()) return ask();
  World world = mpi_world({session_->size(), 1, 1}, *session_);
  return text_of_rank(world.all(), speaks() ? ask() : "");
}

void require_one_process(const std::string& verb) {
  if (!rank_label().empty()) fail_config("trimtab {} runs in one process; start it without mpirun", verb);
}

}  // namespace trimtab
