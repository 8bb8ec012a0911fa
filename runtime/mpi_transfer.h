// SPDX-License-Identifier: Apache-2.0
//
// How bytes go from rank to rank over MPI: each message has a header that says what it is, so that a receiver
// never takes one for another, and a small one travels inside its header. Waits are polled, since a blocking
// call of MPI has no deadline. This header includes mpi.h and is included by runtime/mpi_*.cc only.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/mpi_message.h"
#include "runtime/mpi_session.h"

namespace trimtab {

struct MpiSession::Handle {
  MPI_Comm comm = MPI_COMM_NULL;  // all ranks; a duplicate, so that no message meets those of another library
  int greatest_tag = 0;
  int next_tag = 0;
};

namespace detail {

// Throws Error with MPI's own text unless `code` is MPI_SUCCESS.
void check_mpi(int code, std::string_view where);
std::string mpi_error_text(int code);

// Peers are ranks of the session. `header.bytes` are sent from, or written to, `data`.
struct Outgoing {
  int to = 0;
  const void* data = nullptr;
  MessageHeader header;
};
struct Incoming {
  int from = 0;
  void* data = nullptr;
  MessageHeader expected;
};

struct TransferLimits {
  std::chrono::milliseconds deadline;
  std::size_t inline_bytes = 0;  // a message of at most so many travels inside its header
  std::size_t chunk_bytes = 0;   // MPI is never given more at once; it counts in int
};

struct TransferOutcome {
  enum class Kind { kDone, kMismatch, kLate, kFailed } kind = Kind::kDone;
  std::vector<int> peers;  // that sent something else, have not arrived, or failed (-1: MPI does not say)
  MessageHeader got;       // the mismatch
  MessageHeader expected;
  std::string reason;  // of a failure, in MPI's words
};

class MpiTransfer {
 public:
  // `comm` outlives this.
  MpiTransfer(MPI_Comm comm, const TransferLimits& limits) : comm_(comm), limits_(limits) {}

  // Sends and receives all. Messages between two ranks with the same tag are matched in order. After an
  // outcome other than kDone MPI may still read or write the memory of what was not done: the job can only be
  // ended.
  TransferOutcome run(int tag, std::span<const Outgoing> outgoing, std::span<const Incoming> incoming);

 private:
  // What a request is part of: a message that comes in, or nothing but a send.
  struct Owner {
    int message = -1;
    bool is_header = false;
  };

  void start(int tag, std::span<const Outgoing> outgoing, std::span<const Incoming> incoming);
  // Until all that was started is done, or something else has come of it.
  void wait(TransferOutcome& outcome);
  void send(int tag, const Outgoing& message, std::byte* staging);
  void start_receive(std::size_t message);
  // Called when a header or a chunk of the message has come.
  void advance(const Owner& owner, const MPI_Status& status, TransferOutcome& outcome);
  void finish_message(std::size_t message);
  int poll(TransferOutcome& outcome);
  void withdraw(const TransferOutcome& outcome);
  std::vector<int> late_peers() const;
  void add(MPI_Request request, int peer, Owner owner);
  bool is_inline(std::int64_t bytes) const { return static_cast<std::size_t>(bytes) <= limits_.inline_bytes; }
  std::size_t slot_bytes() const { return sizeof(MessageHeader) + limits_.inline_bytes; }

  MPI_Comm comm_;
  TransferLimits limits_;

  // Of the current run; kept as members to keep their memory, which outlives requests that were given up.
  int tag_ = 0;
  std::span<const Incoming> incoming_;
  std::vector<MPI_Request> requests_;
  std::vector<Owner> owners_;            // by request
  std::vector<int> peers_;               // by request
  std::vector<int> next_;                // by incoming message: the next from the same peer, or -1
  std::vector<std::size_t> parts_left_;  // by incoming message
  std::vector<int> done_;                // indices that MPI_Testsome gave
  std::vector<MPI_Status> statuses_;
  std::vector<std::byte> outbox_;
  std::vector<std::byte> inbox_;
};

}  // namespace detail
}  // namespace trimtab
