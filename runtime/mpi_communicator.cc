// SPDX-License-Identifier: Apache-2.0
#include "runtime/mpi_communicator.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <set>
#include <utility>

#include "runtime/mpi_transfer.h"
#include "runtime/reduce.h"
#include "runtime/shard.h"

namespace trimtab {

namespace {

using detail::CallKind;
using detail::Incoming;
using detail::mark_of;
using detail::MessageHeader;
using detail::Outgoing;
using detail::TransferOutcome;

const std::byte* at(const void* data, std::size_t offset) {
  return static_cast<const std::byte*>(data) + offset;
}
std::byte* at(void* data, std::size_t offset) { return static_cast<std::byte*>(data) + offset; }

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(MpiSession& session, std::vector<int> members, int rank, std::string name, int tag,
                  const MpiOptions& options)
      : Communicator(std::move(name), std::move(members), rank, DeviceKind::kHost),
        options_(options),
        group_(detail::hash(fmt::format("{} {}", this->name(), fmt::join(this->members(), " ")))),
        tag_(tag),
        transfer_(session.handle().comm, {.deadline = options.deadline,
                                          .inline_bytes = options.inline_bytes,
                                          .chunk_bytes = options.chunk_bytes}),
        sent_(this->members().size(), 0),
        received_(this->members().size(), 0) {}

 private:
  // One collective call: its header, and the messages of its present step.
  struct Call {
    MessageHeader header;
    std::vector<Outgoing> outgoing;
    std::vector<Incoming> incoming;
  };

  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override;
  void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                         Traffic traffic) override;
  void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) override;
  void do_broadcast(const Buffer& buffer, int root, Traffic traffic) override;
  void do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) override;
  void do_barrier(Traffic traffic) override;

  void reduce_by_all(Call& call, const Buffer& buffer, ReduceOp op);
  void reduce_segment(Call& call, const Buffer& segment, ReduceOp op);
  void send_along_tree(Call& call, const Buffer& buffer, int root);
  void scatter_and_gather(Call& call, const Buffer& buffer, int root);

  Call begin(CallKind kind, const ConstBuffer& buffer, Traffic traffic);
  void send(Call& call, int to, const void* data, std::size_t bytes);
  void receive(Call& call, int from, void* data, std::size_t bytes);
  // Does what send() and receive() asked for since the last time.
  void step(Call& call);
  void copy_to_itself(std::span<const Send> sends, std::span<const Receive> receives);
  void move(int tag, std::span<const Outgoing> outgoing, std::span<const Incoming> incoming,
            const std::string* where, const MessageHeader& header);
  [[noreturn]] void fail_outcome(const TransferOutcome& outcome, const std::string& where);

  int world_rank(int member) const { return members()[static_cast<std::size_t>(member)]; }
  int me() const { return world_rank(rank()); }
  // The other members; each rank begins with another one, so that not all send to the same.
  std::vector<int> others() const {
    std::vector<int> list;
    for (int step = 1; step < size(); ++step) list.push_back((rank() + step) % size());
    return list;
  }
  std::byte* staging(std::size_t bytes) {
    if (staging_.size() < bytes) staging_.resize(bytes);
    return staging_.data();
  }

  MpiOptions options_;
  std::uint64_t group_;
  int tag_;  // of collective calls; messages of exchange() have the next one
  detail::MpiTransfer transfer_;
  std::int64_t operation_ = 0;
  std::vector<std::int64_t> sent_;  // by member: messages of exchange()
  std::vector<std::int64_t> received_;
  std::vector<std::byte> staging_;
  std::exception_ptr failure_;
};

MpiCommunicator::Call MpiCommunicator::begin(CallKind kind, const ConstBuffer& buffer, Traffic traffic) {
  Call call;
  call.header = {.group = group_,
                 .operation = operation_++,
                 .count = buffer.count,
                 .kind = kind,
                 .dtype = buffer.dtype,
                 .traffic = traffic};
  return call;
}

void MpiCommunicator::send(Call& call, int to, const void* data, std::size_t bytes) {
  call.outgoing.push_back({.to = world_rank(to), .data = data, .header = call.header});
  call.outgoing.back().header.bytes = static_cast<std::int64_t>(bytes);
}

void MpiCommunicator::receive(Call& call, int from, void* data, std::size_t bytes) {
  call.incoming.push_back({.from = world_rank(from), .data = data, .expected = call.header});
  call.incoming.back().expected.bytes = static_cast<std::int64_t>(bytes);
}

void MpiCommunicator::step(Call& call) {
  move(tag_, call.outgoing, call.incoming, nullptr, call.header);
  call.outgoing.clear();
  call.incoming.clear();
  ++call.header.step;
}

// `where` overrides what the header says of the call.
void MpiCommunicator::move(int tag, std::span<const Outgoing> outgoing, std::span<const Incoming> incoming,
                           const std::string* where, const MessageHeader& header) {
  if (failure_) std::rethrow_exception(failure_);
  if (outgoing.empty() && incoming.empty()) return;
  const TransferOutcome outcome = transfer_.run(tag, outgoing, incoming);
  if (outcome.kind == TransferOutcome::Kind::kDone) return;
  try {
    fail_outcome(outcome, where ? *where
                                : fmt::format("rank {}, operation {} on '{}', {}", me(), header.operation,
                                              name(), describe(header)));
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

void MpiCommunicator::fail_outcome(const TransferOutcome& outcome, const std::string& where) {
  const int peer = outcome.peers.empty() ? -1 : outcome.peers.front();
  if (outcome.kind == TransferOutcome::Kind::kLate)
    throw DeadlineExceeded(fmt::format("{}: waited {} ms for ranks {}, which have not arrived", where,
                                       options_.deadline.count(), fmt::join(outcome.peers, ", ")));
  if (outcome.kind == TransferOutcome::Kind::kFailed) throw PeerFailure(peer, outcome.reason, where);
  const MessageHeader& got = outcome.got;
  const MessageHeader& mine = outcome.expected;
  if (got.group != mine.group)
    throw CallMismatch(
        fmt::format("{}: rank {} is inside a call on another communicator: the ranks have not made "
                    "the same ones in the same order",
                    where, peer));
  if (mine.kind == CallKind::kMessage)
    throw CallMismatch(fmt::format("{}: rank {} sent {} {}, but rank {} receives {} {}", where, peer,
                                   got.count, name_of(got.dtype), me(), mine.count, name_of(mine.dtype)));
  const std::string theirs =
      got.operation == mine.operation ? "" : fmt::format("as operation {} ", got.operation);
  throw CallMismatch(fmt::format("operation {} on '{}': rank {} called {}, but rank {} called {}{}",
                                 mine.operation, name(), me(), describe(mine), peer, theirs, describe(got)));
}

void MpiCommunicator::do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) {
  Call call = begin(CallKind::kAllReduce, buffer, traffic);
  call.header.op = op;
  if (buffer.bytes() <= options_.small_bytes) return reduce_by_all(call, buffer, op);
  const auto segment = std::max<std::int64_t>(
      size(), static_cast<std::int64_t>(options_.segment_bytes / size_of(buffer.dtype)));
  for (std::int64_t begin = 0; begin < buffer.count; begin += segment)
    reduce_segment(call,
                   {at(buffer.data, static_cast<std::size_t>(begin) * size_of(buffer.dtype)),
                    std::min(segment, buffer.count - begin), buffer.dtype},
                   op);
}

void MpiCommunicator::reduce_by_all(Call& call, const Buffer& buffer, ReduceOp op) {
  std::byte* received = staging(buffer.bytes() * members().size());
  std::vector<const void*> parts(members().size(), buffer.data);
  for (const int other : others()) {
    std::byte* part = received + buffer.bytes() * static_cast<std::size_t>(other);
    parts[static_cast<std::size_t>(other)] = part;
    send(call, other, buffer.data, buffer.bytes());
    receive(call, other, part, buffer.bytes());
  }
  step(call);
  void* const outs[] = {buffer.data};
  reduce_in_order(parts, outs, 0, buffer.count, buffer.dtype, op);
}

// Each rank reduces its share of the elements and sends it to the others.
void MpiCommunicator::reduce_segment(Call& call, const Buffer& segment, ReduceOp op) {
  const std::size_t element = size_of(segment.dtype);
  const auto share_of = [&](int member) { return share(segment.count, member, size(), Uneven::kAllow); };
  const auto begin_of = [&](const Share& s) {
    return at(segment.data, static_cast<std::size_t>(s.begin) * element);
  };
  const auto bytes_of = [&](const Share& s) { return static_cast<std::size_t>(s.count) * element; };

  const Share mine = share_of(rank());
  std::byte* received = staging(bytes_of(mine) * members().size());
  std::vector<const void*> parts(members().size(), begin_of(mine));
  for (const int other : others()) {
    std::byte* part = received + bytes_of(mine) * static_cast<std::size_t>(other);
    parts[static_cast<std::size_t>(other)] = part;
    send(call, other, begin_of(share_of(other)), bytes_of(share_of(other)));
    receive(call, other, part, bytes_of(mine));
  }
  step(call);
  void* const outs[] = {begin_of(mine)};
  reduce_in_order(parts, outs, 0, mine.count, segment.dtype, op);
  for (const int other : others()) {
    send(call, other, begin_of(mine), bytes_of(mine));
    receive(call, other, begin_of(share_of(other)), bytes_of(share_of(other)));
  }
  step(call);
}

void MpiCommunicator::do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts,
                                        ReduceOp op, Traffic traffic) {
  Call call = begin(CallKind::kReduceScatter, in, traffic);
  call.header.op = op;
  call.header.root = mark_of(parts);
  const std::size_t element = size_of(out.dtype);
  const auto segment = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(options_.segment_bytes / element / members().size()));
  std::int64_t begin = 0;
  do {  // also for no elements: then the calls are compared
    // Of a part that ends before the longest one does, nothing is left.
    const auto count_of = [&](int member) {
      return std::clamp<std::int64_t>(parts.count(member) - begin, 0, segment);
    };
    const auto bytes_of = [&](int member) { return static_cast<std::size_t>(count_of(member)) * element; };
    const auto part_of = [&](int member) {
      const std::int64_t skipped = std::min(begin, parts.count(member));
      return at(in.data, static_cast<std::size_t>(parts.begin(member) + skipped) * element);
    };
    const std::size_t mine = bytes_of(rank());
    std::byte* received = staging(mine * members().size());
    std::vector<const void*> ins(members().size(), part_of(rank()));
    for (const int other : others()) {
      std::byte* part = received + mine * static_cast<std::size_t>(other);
      ins[static_cast<std::size_t>(other)] = part;
      send(call, other, part_of(other), bytes_of(other));
      receive(call, other, part, mine);
    }
    step(call);
    if (mine > 0) {
      void* const outs[] = {at(out.data, static_cast<std::size_t>(begin) * element)};
      reduce_in_order(ins, outs, 0, count_of(rank()), out.dtype, op);
    }
    begin += segment;
  } while (begin < parts.longest());
}

void MpiCommunicator::do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts,
                                    Traffic traffic) {
  Call call = begin(CallKind::kAllGather, parts.even() ? in : ConstBuffer(out), traffic);
  call.header.root = mark_of(parts);
  const std::size_t element = size_of(out.dtype);
  const auto part_of = [&](int member) {
    return at(out.data, static_cast<std::size_t>(parts.begin(member)) * element);
  };
  if (in.count > 0 && in.data != part_of(rank())) std::memmove(part_of(rank()), in.data, in.bytes());
  for (const int other : others()) {
    send(call, other, in.data, in.bytes());
    receive(call, other, part_of(other), static_cast<std::size_t>(parts.count(other)) * element);
  }
  step(call);
}

void MpiCommunicator::do_broadcast(const Buffer& buffer, int root, Traffic traffic) {
  Call call = begin(CallKind::kBroadcast, buffer, traffic);
  call.header.root = root;
  if (size() == 2 || buffer.bytes() <= options_.small_bytes)
    send_along_tree(call, buffer, root);
  else
    scatter_and_gather(call, buffer, root);
}

// A binomial tree: who has the value passes it on at distances that halve.
void MpiCommunicator::send_along_tree(Call& call, const Buffer& buffer, int root) {
  const int place = (rank() - root + size()) % size();
  const auto member = [&](int of_place) { return (of_place + root) % size(); };
  int distance = 1;
  while (distance < size() && (place & distance) == 0) distance *= 2;
  if (place != 0) {
    receive(call, member(place - distance), buffer.data, buffer.bytes());
    step(call);
  }
  call.header.step = 0;  // who receives sees one step only
  for (distance /= 2; distance > 0; distance /= 2)
    if (place + distance < size()) send(call, member(place + distance), buffer.data, buffer.bytes());
  step(call);
}

// The root sends each byte to one rank, which passes it on, so that its link carries the vector once or
// twice, not once for each rank.
void MpiCommunicator::scatter_and_gather(Call& call, const Buffer& buffer, int root) {
  const std::size_t element = size_of(buffer.dtype);
  const auto share_of = [&](int member) {
    const Share s = share(buffer.count, member, size(), Uneven::kAllow);
    return std::pair(at(buffer.data, static_cast<std::size_t>(s.begin) * element),
                     static_cast<std::size_t>(s.count) * element);
  };
  const auto [mine, my_bytes] = share_of(rank());
  if (rank() == root) {
    for (const int other : others()) send(call, other, share_of(other).first, share_of(other).second);
  } else {
    receive(call, root, mine, my_bytes);
  }
  step(call);
  for (const int other : others()) {
    if (other != root) send(call, other, mine, my_bytes);
    if (rank() != root) receive(call, other, share_of(other).first, share_of(other).second);
  }
  step(call);
}

// In the k-th round each rank hears of 2^k more.
void MpiCommunicator::do_barrier(Traffic traffic) {
  Call call = begin(CallKind::kBarrier, {}, traffic);
  for (int distance = 1; distance < size(); distance *= 2) {
    send(call, (rank() + distance) % size(), nullptr, 0);
    receive(call, (rank() - distance + size()) % size(), nullptr, 0);
    step(call);
  }
}

void MpiCommunicator::copy_to_itself(std::span<const Send> sends, std::span<const Receive> receives) {
  auto next = receives.begin();
  for (const Send& out : sends) {
    if (out.to != rank()) continue;
    next = std::find_if(next, receives.end(), [&](const Receive& r) { return r.from == rank(); });
    const Buffer& to = next->buffer;
    const ConstBuffer& from = out.buffer;
    if (to.count != from.count || to.dtype != from.dtype)
      throw CallMismatch(fmt::format("exchange on '{}': rank {} sent {} {}, but rank {} receives {} {}",
                                     name(), me(), from.count, name_of(from.dtype), me(), to.count,
                                     name_of(to.dtype)));
    if (from.count > 0 && from.data != to.data) std::memmove(to.data, from.data, from.bytes());
    ++next;
  }
}

void MpiCommunicator::do_exchange(std::span<const Send> sends, std::span<const Receive> receives,
                                  Traffic traffic) {
  copy_to_itself(sends, receives);
  const auto header = [&](const ConstBuffer& buffer, std::int64_t number) {
    return MessageHeader{.group = group_,
                         .operation = number,
                         .count = buffer.count,
                         .bytes = static_cast<std::int64_t>(buffer.bytes()),
                         .dtype = buffer.dtype};
  };
  std::vector<Outgoing> outgoing;
  std::vector<Incoming> incoming;
  for (const Send& out : sends)
    if (out.to != rank())
      outgoing.push_back({.to = world_rank(out.to),
                          .data = out.buffer.data,
                          .header = header(out.buffer, sent_[static_cast<std::size_t>(out.to)]++)});
  for (const Receive& in : receives)
    if (in.from != rank())
      incoming.push_back({.from = world_rank(in.from),
                          .data = in.buffer.data,
                          .expected = header(in.buffer, received_[static_cast<std::size_t>(in.from)]++)});
  if (failure_) std::rethrow_exception(failure_);
  if (outgoing.empty() && incoming.empty()) return;
  const std::string where = fmt::format("rank {}, exchange on '{}' of {} sends and {} receives ({})", me(),
                                        name(), sends.size(), receives.size(), name_of(traffic));
  move(tag_ + 1, outgoing, incoming, &where, {});
}

}  // namespace

std::unique_ptr<Communicator> mpi_communicator(MpiSession& session, const std::vector<int>& members,
                                               const std::string& name, const MpiOptions& options) {
  const auto place = std::find(members.begin(), members.end(), session.rank());
  if (place == members.end())
    fail("rank {} is not a member of '{}': {}", session.rank(), name, fmt::join(members, ", "));
  const std::set<int> distinct(members.begin(), members.end());
  if (distinct.size() != members.size() || *distinct.begin() < 0 || *distinct.rbegin() >= session.size())
    fail("'{}' needs distinct ranks below {}, not {}", name, session.size(), fmt::join(members, ", "));
  constexpr std::size_t kMostAtOnce = std::numeric_limits<int>::max();
  TT_CHECK(
      options.chunk_bytes > 0 && options.chunk_bytes <= kMostAtOnce && options.inline_bytes < kMostAtOnce / 2,
      "chunks of {} bytes, {} inside a header", options.chunk_bytes, options.inline_bytes);
  MpiSession::Handle& handle = session.handle();
  if (handle.next_tag > handle.greatest_tag - 2)
    fail("'{}' is one communicator too many: MPI has {} tags", name, handle.greatest_tag);
  const int tag = handle.next_tag;
  handle.next_tag += 2;
  return std::make_unique<MpiCommunicator>(session, members, static_cast<int>(place - members.begin()), name,
                                           tag, options);
}

}  // namespace trimtab
