// SPDX-License-Identifier: Apache-2.0
//
// Which launcher started this process, and what it says of the process's place, by the variables that it
// leaves. The innermost launcher counts (mpirun inside a Slurm job, torchrun inside a Slurm step), and a
// place is never put together from two of them. MPI's own answer is what a job uses; this is for messages
// before and after MPI, for checks, and for refusing launchers that start processes without MPI.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace trimtab {

// The value of a variable of the environment; nothing if it is not set.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;

Variables environment();

struct LauncherPlace {
  std::string launcher;  // "Open MPI", "PMIx", "PMI", "Slurm", "torchrun"; "" for a process alone
  bool starts_mpi = false;
  int rank = 0;
  int size = 1;         // 0: it does not say
  int local_rank = -1;  // among the ranks of this host; -1: it does not say
};

// Throws ConfigError that names a variable whose value makes no sense.
LauncherPlace find_launcher(const Variables& variables);

// Of this process, for messages: a process alone where find_launcher() throws.
LauncherPlace known_place();

}  // namespace trimtab
