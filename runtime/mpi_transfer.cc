// SPDX-License-Identifier: Apache-2.0
#include "runtime/mpi_transfer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

namespace trimtab::detail {

namespace {

using Clock = std::chrono::steady_clock;

// Between polls that found nothing. Peers usually arrive within microseconds; where ranks share a core the
// one waited for needs it, and a rank that waits for long should not heat it.
void idle(int polls, Clock::duration waited) {
  if (waited > std::chrono::milliseconds(20))
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  else if (polls > 50)
    std::this_thread::yield();
}

// A call of MPI that failed at once, as calls do when MPI already knows that a rank is gone. Does not leave
// run().
struct CallFailed {
  int peer;  // -1: it does not say whose fault
  std::string reason;
};

void require(int code, std::string_view call, int peer) {
  if (code != MPI_SUCCESS) throw CallFailed{peer, fmt::format("{}: {}", call, mpi_error_text(code))};
}

std::size_t chunks(std::size_t bytes, std::size_t chunk) { return (bytes + chunk - 1) / chunk; }

}  // namespace

std::string mpi_error_text(int code) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) return fmt::format("MPI error {}", code);
  return std::string(text.data(), static_cast<std::size_t>(length));
}

void check_mpi(int code, std::string_view where) {
  if (code != MPI_SUCCESS) fail("{}: {}", where, mpi_error_text(code));
}

TransferOutcome MpiTransfer::run(int tag, std::span<const Outgoing> outgoing,
                                 std::span<const Incoming> incoming) {
  TransferOutcome outcome;
  try {
    start(tag, outgoing, incoming);
    wait(outcome);
  } catch (const CallFailed& failed) {
    outcome.kind = TransferOutcome::Kind::kFailed;
    outcome.peers = {failed.peer};
    outcome.reason = failed.reason;
  }
  if (outcome.kind != TransferOutcome::Kind::kDone) withdraw(outcome);
  return outcome;
}

void MpiTransfer::start(int tag, std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) {
  tag_ = tag;
  incoming_ = incoming;
  requests_.clear();
  owners_.clear();
  peers_.clear();
  outbox_.resize(std::max(outbox_.size(), outgoing.size() * slot_bytes()));
  inbox_.resize(std::max(inbox_.size(), incoming.size() * slot_bytes()));
  next_.assign(incoming.size(), -1);
  parts_left_.assign(incoming.size(), 0);
  // Receives first: what finds one waiting needs no memory of MPI's own.
  for (std::size_t i = 0; i < incoming.size(); ++i) {
    std::size_t earlier = i;
    while (earlier > 0 && incoming[earlier - 1].from != incoming[i].from) --earlier;
    if (earlier == 0)
      start_receive(i);
    else
      next_[earlier - 1] = static_cast<int>(i);
  }
  for (std::size_t i = 0; i < outgoing.size(); ++i) send(tag, outgoing[i], outbox_.data() + i * slot_bytes());
}

void MpiTransfer::wait(TransferOutcome& outcome) {
  auto idle_since = Clock::now();
  int idle_polls = 0;
  while (!requests_.empty() && outcome.kind == TransferOutcome::Kind::kDone) {
    if (poll(outcome) > 0) {
      idle_since = Clock::now();
      idle_polls = 0;
      continue;
    }
    const auto waited = Clock::now() - idle_since;
    if (waited > limits_.deadline) {
      outcome.kind = TransferOutcome::Kind::kLate;
      outcome.peers = late_peers();
    }
    idle(++idle_polls, waited);
  }
}

void MpiTransfer::add(MPI_Request request, int peer, Owner owner) {
  requests_.push_back(request);
  owners_.push_back(owner);
  peers_.push_back(peer);
}

void MpiTransfer::send(int tag, const Outgoing& message, std::byte* staging) {
  const auto bytes = static_cast<std::size_t>(message.header.bytes);
  const std::size_t inside = is_inline(message.header.bytes) ? bytes : 0;
  std::memcpy(staging, &message.header, sizeof(MessageHeader));
  if (inside > 0) std::memcpy(staging + sizeof(MessageHeader), message.data, inside);
  const auto start = [&](const std::byte* data, std::size_t length) {
    MPI_Request request = MPI_REQUEST_NULL;
    require(MPI_Isend(data, static_cast<int>(length), MPI_BYTE, message.to, tag, comm_, &request),
            "MPI_Isend", message.to);
    add(request, message.to, {});
  };
  start(staging, sizeof(MessageHeader) + inside);
  const auto* data = static_cast<const std::byte*>(message.data);
  for (std::size_t at = inside; at < bytes; at += limits_.chunk_bytes)
    start(data + at, std::min(limits_.chunk_bytes, bytes - at));
}

void MpiTransfer::start_receive(std::size_t message) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int from = incoming_[message].from;
  require(MPI_Irecv(inbox_.data() + message * slot_bytes(), static_cast<int>(slot_bytes()), MPI_BYTE, from,
                    tag_, comm_, &request),
          "MPI_Irecv", from);
  add(request, from, {.message = static_cast<int>(message), .is_header = true});
}

void MpiTransfer::finish_message(std::size_t message) {
  if (next_[message] >= 0) start_receive(static_cast<std::size_t>(next_[message]));
}

void MpiTransfer::advance(const Owner& owner, const MPI_Status& status, TransferOutcome& outcome) {
  const auto index = static_cast<std::size_t>(owner.message);
  const Incoming& message = incoming_[index];
  if (!owner.is_header) {
    if (--parts_left_[index] == 0) finish_message(index);
    return;
  }
  const std::byte* slot = inbox_.data() + index * slot_bytes();
  int length = 0;
  require(MPI_Get_count(&status, MPI_BYTE, &length), "MPI_Get_count", message.from);
  const auto bytes = static_cast<std::size_t>(message.expected.bytes);
  const std::size_t inside = is_inline(message.expected.bytes) ? bytes : 0;
  MessageHeader got;
  if (static_cast<std::size_t>(length) >= sizeof got) std::memcpy(&got, slot, sizeof got);
  if (got != message.expected || static_cast<std::size_t>(length) != sizeof got + inside) {
    outcome = {.kind = TransferOutcome::Kind::kMismatch,
               .peers = {message.from},
               .got = got,
               .expected = message.expected,
               .reason = {}};
    return;
  }
  if (inside > 0) std::memcpy(message.data, slot + sizeof got, inside);
  if (inside == bytes) return finish_message(index);
  parts_left_[index] = chunks(bytes, limits_.chunk_bytes);
  auto* data = static_cast<std::byte*>(message.data);
  for (std::size_t at = 0; at < bytes; at += limits_.chunk_bytes) {
    MPI_Request request = MPI_REQUEST_NULL;
    const std::size_t part = std::min(limits_.chunk_bytes, bytes - at);
    require(MPI_Irecv(data + at, static_cast<int>(part), MPI_BYTE, message.from, tag_, comm_, &request),
            "MPI_Irecv", message.from);
    add(request, message.from, {.message = owner.message, .is_header = false});
  }
}

// Returns how many requests have come to an end since the last time.
int MpiTransfer::poll(TransferOutcome& outcome) {
  done_.resize(requests_.size());
  statuses_.resize(requests_.size());
  int ended = 0;
  const int code = MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &ended, done_.data(),
                                statuses_.data());
  if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS) {
    const std::vector<int> peers = late_peers();
    require(code, "MPI_Testsome", peers.size() == 1 ? peers.front() : -1);
  }
  for (int k = 0; k < ended; ++k) {
    const auto request = static_cast<std::size_t>(done_[static_cast<std::size_t>(k)]);
    const MPI_Status& status = statuses_[static_cast<std::size_t>(k)];
    if (code == MPI_ERR_IN_STATUS && status.MPI_ERROR != MPI_SUCCESS && status.MPI_ERROR != MPI_ERR_PENDING) {
      outcome.kind = TransferOutcome::Kind::kFailed;
      outcome.peers = {peers_[request]};
      outcome.reason = mpi_error_text(status.MPI_ERROR);
      return ended;
    }
    const Owner owner = owners_[request];  // advance() adds requests
    if (owner.message >= 0) advance(owner, status, outcome);
    if (outcome.kind != TransferOutcome::Kind::kDone) return ended;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; ended > 0 && i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL) continue;
    requests_[kept] = requests_[i];
    owners_[kept] = owners_[i];
    peers_[kept] = peers_[i];
    ++kept;
  }
  if (ended > 0) {
    requests_.resize(kept);
    owners_.resize(kept);
    peers_.resize(kept);
  }
  return ended;
}

std::vector<int> MpiTransfer::late_peers() const {
  std::vector<int> late = peers_;
  std::sort(late.begin(), late.end());
  late.erase(std::unique(late.begin(), late.end()), late.end());
  return late;
}

// Takes back what was asked of MPI, as far as it can be.
void MpiTransfer::withdraw(const TransferOutcome& outcome) {
  // The peer of a mismatch should learn of it, too: let our headers reach it.
  const bool tell = outcome.kind == TransferOutcome::Kind::kMismatch;
  const auto until = Clock::now() + std::min<Clock::duration>(limits_.deadline, std::chrono::seconds(1));
  const auto sends_left = [&] {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      int done = 0;
      if (owners_[i].message < 0 && MPI_Test(&requests_[i], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS &&
          done == 0)
        return true;
    }
    return false;
  };
  while (tell && sends_left() && Clock::now() < until) std::this_thread::yield();
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL) continue;
    if (owners_[i].message >= 0) MPI_Cancel(&requests_[i]);
    MPI_Request_free(&requests_[i]);
  }
  requests_.clear();
}

}  // namespace trimtab::detail
