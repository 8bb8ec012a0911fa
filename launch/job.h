// SPDX-License-Identifier: Apache-2.0
//
// The job that this process is a rank of: started by mpirun or srun, or alone.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runtime/mesh.h"
#include "runtime/mpi_session.h"
#include "runtime/world.h"

namespace trimtab {

// Whether a launcher of MPI started this process, by the variables that Open MPI, PMIx and PMI leave. MPI
// itself then says which rank it is.
bool started_by_mpi();

// "rank 3 of 8 on node-b: " in a job of several ranks, as far as the environment tells; "" in a process
// alone. For messages, also before and after MPI.
std::string rank_label();

// Owns MPI where a launcher started this process. An error of one rank must end the whole job: it is not
// caught before this is gone.
class Job {
 public:
  Job();

  // This rank's World; this outlives it. Collective. Throws ConfigError unless the mesh has exactly the job's
  // ranks.
  World world(const Mesh& mesh);
  bool alone() const { return !session_ || session_->size() == 1; }
  // What rank 0 answers, on every rank. Collective.
  std::string ask_first_rank(const std::function<std::string()>& ask);
  // Rank 0 prints and writes what is the job's.
  bool speaks() const { return !session_ || session_->rank() == 0; }

 private:
  std::optional<MpiSession> session_;
};

// Throws ConfigError if this is a job of several ranks: `verb` runs in one process.
void require_one_process(const std::string& verb);

}  // namespace trimtab
