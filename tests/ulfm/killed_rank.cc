// SPDX-License-Identifier: Apache-2.0
//
// A rank of a job that the death of one does not end: killed_rank RANK, under the mpirun of an MPI that goes
// on after a failure (ULFM). All ranks reduce; RANK kills itself at the tenth step. Each of the others says
// what it was told, and ends with 0.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "runtime/mpi_communicator.h"
#include "runtime/mpi_session.h"

int main(int, char** argv) {
  using namespace trimtab;
  auto* session = new MpiSession;  // never deleted: MPI_Finalize would wait for who is dead
  std::vector<int> members(static_cast<std::size_t>(session->size()));
  std::iota(members.begin(), members.end(), 0);
  const auto ranks = mpi_communicator(*session, members, "data", {.deadline = std::chrono::seconds(30)});
  for (int step = 0;; ++step) {
    if (step == 10 && session->rank() == std::atoi(argv[1])) ::kill(::getpid(), SIGKILL);
    std::vector<float> gradient(50'000, 1.0f);
    try {
      ranks->all_reduce({gradient.data(), 50'000, DType::kFloat32}, ReduceOp::kSum, Traffic::kGradient);
    } catch (const PeerFailure& failure) {
      std::printf("rank %d, step %d: rank %d: %s\n", session->rank(), step, failure.rank(), failure.what());
      std::fflush(stdout);
      ::_exit(0);
    }
  }
}
