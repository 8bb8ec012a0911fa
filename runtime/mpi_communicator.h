// SPDX-License-Identifier: Apache-2.0
//
// Ranks as processes of an MPI job, for host memory. Reductions have the bits of ThreadCommunicator's: shares
// travel to the rank that owns them, are reduced there in rank order, and are gathered. Each message says
// which call it is part of, so that ranks that disagree throw CallMismatch instead of taking each other's
// bytes.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "runtime/communicator.h"
#include "runtime/mpi_session.h"

namespace trimtab {

// The same on all ranks.
struct MpiOptions {
  // Bounds each single wait for other ranks; then DeadlineExceeded names them and the call. Generous, since a
  // rank may wait for another one that reads weights or saves.
  std::chrono::milliseconds deadline = std::chrono::minutes(30);
  // Messages of at most so many bytes travel inside their header: below the eager limit of every transport.
  std::size_t inline_bytes = 3 * 1024;
  // Vectors of at most so many bytes are gathered and reduced by every rank, which takes one round trip, not
  // two.
  std::size_t small_bytes = 16 * 1024;
  // Longer reductions work through segments of this size, which bounds the memory that a reduction takes.
  std::size_t segment_bytes = 16 * 1024 * 1024;
  // MPI counts in int.
  std::size_t chunk_bytes = std::size_t{1} << 30;
};

// This rank's end of the communicator of the ranks `members` of the session, which must hold the session's
// own. No message is sent, so it cannot hang; but all ranks make as many communicators, in the same order,
// each of them for the list that it is in. After a failure every call throws it again, and the job can only
// be ended. The session outlives it.
std::unique_ptr<Communicator> mpi_communicator(MpiSession& session, const std::vector<int>& members,
                                               const std::string& name, const MpiOptions& options = {});

}  // namespace trimtab
