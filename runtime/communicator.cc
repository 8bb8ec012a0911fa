// SPDX-License-Identifier: Apache-2.0
#include "runtime/communicator.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace trimtab {

std::string_view name_of(DeviceKind kind) { return kind == DeviceKind::kHost ? "host" : "CUDA"; }

std::string_view name_of(ReduceOp op) {
  return op == ReduceOp::kSum ? "sum" : op == ReduceOp::kMax ? "max" : "min";
}

std::string_view name_of(Traffic traffic) {
  switch (traffic) {
    case Traffic::kTensor:
      return "tensor";
    case Traffic::kPipeline:
      return "pipeline";
    case Traffic::kGradient:
      return "gradient";
    case Traffic::kControl:
      return "control";
  }
  fail("no traffic has number {}", static_cast<int>(traffic));
}

Parts::Parts(std::vector<std::int64_t> counts) : counts_(std::move(counts)), begins_(1, 0) {
  for (const std::int64_t count : counts_) begins_.push_back(begins_.back() + count);
}

std::int64_t Parts::longest() const { return counts_.empty() ? 0 : *std::ranges::max_element(counts_); }

bool Parts::even() const {
  return std::ranges::adjacent_find(counts_, std::not_equal_to<>()) == counts_.end();
}

std::string Parts::text() const { return fmt::format("parts of {}", fmt::join(counts_, ", ")); }

TrafficCounters& TrafficCounters::operator+=(const TrafficCounters& other) {
  for (std::size_t i = 0; i < kTrafficKinds; ++i) {
    counts[i].calls += other.counts[i].calls;
    counts[i].messages += other.counts[i].messages;
    counts[i].bytes += other.counts[i].bytes;
  }
  return *this;
}

TrafficCounters& TrafficCounters::operator-=(const TrafficCounters& other) {
  for (std::size_t i = 0; i < kTrafficKinds; ++i) {
    counts[i].calls -= other.counts[i].calls;
    counts[i].messages -= other.counts[i].messages;
    counts[i].bytes -= other.counts[i].bytes;
  }
  return *this;
}

PeerFailure::PeerFailure(int rank, std::string reason, std::string_view where)
    : Error(fmt::format("{}: {} failed: {}", where, rank < 0 ? "another rank" : fmt::format("rank {}", rank),
                        reason)),
      rank_(rank),
      reason_(std::move(reason)) {}

Communicator::Communicator(std::string name, std::vector<int> members, int rank, DeviceKind device)
    : name_(std::move(name)), members_(std::move(members)), rank_(rank), device_(device) {
  if (members_.empty() || rank_ < 0 || rank_ >= size())
    fail("communicator '{}' of {} ranks has no rank {}", name_, size(), rank_);
}

void Communicator::all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) {
  check_buffer(buffer, "all_reduce");
  const NotedOperation operation = noted("all_reduce", traffic, buffer.bytes());
  do_all_reduce(buffer, op, traffic);
  count(traffic, 1, buffer.bytes());
}

void Communicator::reduce_scatter(const ConstBuffer& in, const Buffer& out, ReduceOp op, Traffic traffic) {
  reduce_scatter(in, out, Parts::of_same(out.count, size()), op, traffic);
}

void Communicator::reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                                  Traffic traffic) {
  check_parts(out, in, parts, "reduce_scatter");
  const NotedOperation operation = noted("reduce_scatter", traffic, in.bytes());
  do_reduce_scatter(in, out, parts, op, traffic);
  count(traffic, 1, in.bytes() - out.bytes());
}

void Communicator::all_gather(const ConstBuffer& in, const Buffer& out, Traffic traffic) {
  all_gather(in, out, Parts::of_same(in.count, size()), traffic);
}

void Communicator::all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) {
  check_parts(in, out, parts, "all_gather");
  const NotedOperation operation = noted("all_gather", traffic, in.bytes());
  do_all_gather(in, out, parts, traffic);
  count(traffic, 1, in.bytes());
}

void Communicator::broadcast(const Buffer& buffer, int root, Traffic traffic) {
  check_buffer(buffer, "broadcast");
  check_peer(root, "broadcast");
  const NotedOperation operation = noted("broadcast", traffic, buffer.bytes());
  do_broadcast(buffer, root, traffic);
  count(traffic, root == rank_ ? 1 : 0, root == rank_ ? buffer.bytes() : 0);
}

void Communicator::exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) {
  std::size_t messages = 0;
  std::size_t bytes = 0;
  std::size_t received = 0;
  std::size_t to_self = 0;
  std::size_t from_self = 0;
  for (const Send& send : sends) {
    check_buffer(send.buffer, "exchange");
    check_peer(send.to, "exchange");
    if (send.to == rank_) {
      ++to_self;
    } else {
      ++messages;
      bytes += send.buffer.bytes();
    }
  }
  for (const Receive& receive : receives) {
    check_buffer(receive.buffer, "exchange");
    check_peer(receive.from, "exchange");
    received += receive.buffer.bytes();
    if (receive.from == rank_) ++from_self;
  }
  if (to_self != from_self)
    fail("exchange on '{}': {} messages to itself, but {} from itself", name_, to_self, from_self);
  const NotedOperation operation = noted("exchange", traffic, bytes + received);
  do_exchange(sends, receives, traffic);
  count(traffic, messages, bytes);
}

void Communicator::barrier(Traffic traffic) {
  const NotedOperation operation = noted("barrier", traffic, 0);
  do_barrier(traffic);
  count(traffic, 1, 0);
}

// Noted without peers, too: what other communicators queued on the same device is waited for as well.
void Communicator::settle() {
  if (!has_queued()) return;
  const NotedOperation operation(activity_, "settle", name_, name_of(Traffic::kControl), 0);
  do_settle();
}

void Communicator::check_buffer(const ConstBuffer& buffer, std::string_view call) const {
  if (buffer.count < 0) fail("{} on '{}': the count {} is negative", call, name_, buffer.count);
  if (buffer.data == nullptr && buffer.count > 0)
    fail("{} on '{}': null memory for {} elements", call, name_, buffer.count);
  if (!takes(buffer.device))
    fail("{} on '{}': the buffer is {} memory, but this communicator moves {} memory", call, name_,
         name_of(buffer.device), name_of(device_));
}

void Communicator::check_parts(const ConstBuffer& small, const ConstBuffer& large, const Parts& parts,
                               std::string_view call) const {
  check_buffer(small, call);
  check_buffer(large, call);
  if (small.dtype != large.dtype)
    fail("{} on '{}': one buffer is {}, the other {}", call, name_, name_of(small.dtype),
         name_of(large.dtype));
  if (small.device != large.device)
    fail("{} on '{}': one buffer is {} memory, the other {}", call, name_, name_of(small.device),
         name_of(large.device));
  if (parts.ranks() != size()) fail("{} on '{}': {} for {} ranks", call, name_, parts.text(), size());
  for (int member = 0; member < size(); ++member)
    if (parts.count(member) < 0) fail("{} on '{}': {}: one is negative", call, name_, parts.text());
  if (large.count != parts.total())
    fail("{} on '{}': {} elements are not {}", call, name_, large.count, parts.text());
  if (small.count != parts.count(rank_))
    fail("{} on '{}': {} elements are not part {} of {}", call, name_, small.count, rank_, parts.text());
  if (small.count == 0) return;
  const auto* part = static_cast<const std::byte*>(small.data);
  const auto* all = static_cast<const std::byte*>(large.data);
  if (part == all + static_cast<std::size_t>(parts.begin(rank_)) * size_of(small.dtype)) return;
  // std::less orders pointers into unrelated memory, too.
  const std::less<> before;
  if (before(part, all + large.bytes()) && before(all, part + small.bytes()))
    fail("{} on '{}': the buffers overlap, but the small one is not part {} of the large one", call, name_,
         rank_);
}

void Communicator::check_peer(int peer, std::string_view call) const {
  if (peer < 0 || peer >= size())
    fail("{} on '{}': no rank {} among its {} ranks", call, name_, peer, size());
}

void Communicator::count(Traffic traffic, std::size_t messages, std::size_t bytes) {
  TrafficCount& counter = counters_.counts[static_cast<std::size_t>(traffic)];
  ++counter.calls;
  if (size() == 1) return;
  counter.messages += static_cast<std::int64_t>(messages);
  counter.bytes += static_cast<std::int64_t>(bytes);
}

std::string describe_call(std::string_view call, const ConstBuffer& buffer, Traffic traffic) {
  return fmt::format("{} of {} {} ({})", call, buffer.count, name_of(buffer.dtype), name_of(traffic));
}

std::string describe_call(std::string_view call, const ConstBuffer& buffer, const Parts& parts,
                          Traffic traffic) {
  if (parts.even()) return describe_call(call, buffer, traffic);
  return fmt::format("{} of {} {} in {} ({})", call, parts.total(), name_of(buffer.dtype), parts.text(),
                     name_of(traffic));
}

}  // namespace trimtab
