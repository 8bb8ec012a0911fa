// SPDX-License-Identifier: Apache-2.0
#include "launch/launcher.h"

#include <charconv>
#include <cstdlib>

#include "runtime/check.h"

namespace trimtab {
namespace {

// What one launcher leaves; null: it has no such variable.
struct Traces {
  const char* launcher;
  bool starts_mpi;
  const char* marker;  // set by this launcher, by no outer one, and not in a job that runs none
  const char* rank;
  const char* size;
  const char* local_rank;
};

// Innermost first. Slurm is known by its step: a batch script has SLURM_PROCID = 0, too, and hands it on to
// all that mpirun starts. RANK and WORLD_SIZE are common words, so they come last unless torchrun signed
// them.
constexpr Traces kTraces[] = {
    {"Open MPI", true, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"PMIx", true, "PMIX_RANK", "PMIX_RANK", nullptr, nullptr},
    {"PMI", true, "PMI_SIZE", "PMI_RANK", "PMI_SIZE", nullptr},
    {"torchrun", false, "TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK"},
    {"Slurm", false, "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},
    {"torchrun", false, "WORLD_SIZE", "RANK", "WORLD_SIZE", "LOCAL_RANK"},
};

int number(const Variables& variables, const char* name, int otherwise) {
  const std::optional<std::string> text = name != nullptr ? variables(name) : std::nullopt;
  if (!text) return otherwise;
  int value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < 0)
    fail_config("the variable {} of the environment is '{}', which is no number of a rank; unset it", name,
                *text);
  return value;
}

}  // namespace

Variables environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

LauncherPlace find_launcher(const Variables& variables) {
  for (const Traces& traces : kTraces) {
    if (!variables(traces.marker)) continue;
    LauncherPlace place{traces.launcher, traces.starts_mpi};
    place.rank = number(variables, traces.rank, 0);
    place.size = number(variables, traces.size, 0);
    place.local_rank = number(variables, traces.local_rank, -1);
    return place;
  }
  return {};
}

LauncherPlace known_place() {
  try {
    return find_launcher(environment());
  } catch (const ConfigError&) {
    return {};
  }
}

}  // namespace trimtab
