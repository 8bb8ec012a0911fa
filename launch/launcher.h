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
#include <vector>

namespace trimtab {

// The value of a variable of the environment; nothing if it is not set.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;

Variables environment();

struct LauncherPlace {
  // "Open MPI", "MVAPICH", "Slurm", "PMIx", "PMI", "torchrun"; "" for a process alone
  std::string launcher;
  bool starts_mpi = false;
  int rank = 0;
  int size = 1;                      // 0: it does not say
  int local_rank = -1;               // among the ranks of this host; -1: it does not say
  int local_size = 0;                // ranks of this host; 0: it does not say
  int node = -1;                     // the number of this host; -1: it does not say
  std::vector<std::string> nodes{};  // names of all hosts by number; empty: it does not say
};

// Throws ConfigError that names a variable whose value makes no sense.
LauncherPlace find_launcher(const Variables& variables);

// OMP_NUM_THREADS, of a list the first; 0: it is not set. Throws as above.
int threads_wanted(const Variables& variables);
// How many cores Slurm gives this process; 0 where it is no task of Slurm's, as ranks of mpirun in a batch
// file are, which have the same variables. Throws as above.
int cores_of_task(const Variables& variables);

// How often Slurm has queued this job again after it had begun; 0 outside of Slurm. Throws as above.
int restarts_of(const Variables& variables);

// What the launcher calls this job, on all ranks alike and unlike any other job of the time, as a file's
// name; "" where it does not say.
std::string job_name(const Variables& variables);

// "node[1-2,07-09],gpu-a" as Slurm writes it: node1, node2, node07 ... `variable` is for the message of what
// it throws if it is none.
std::vector<std::string> expand_nodes(const std::string& text, const std::string& variable);
// "4(x2),3": 4, 4, 3 tasks of the nodes.
std::vector<int> expand_counts(const std::string& text, const std::string& variable);

// The device of the `rank`-th of `size` ranks on a host, of which it sees `visible`: the rank-th, or its only
// one where the launcher shows each rank one of its own. Throws ConfigError with CUDA_VISIBLE_DEVICES and the
// remedy if there are fewer devices than ranks.
int device_of(int rank, int size, int visible, const Variables& variables);

// Of this process, for messages: a process alone where find_launcher() throws.
LauncherPlace known_place();

}  // namespace trimtab
