// SPDX-License-Identifier: Apache-2.0
#include "runtime/solo_communicator.h"

#include <cstring>
#include <utility>

namespace trimtab {

namespace {

void copy(const ConstBuffer& from, const Buffer& to) {
  if (from.count > 0 && from.data != to.data) std::memmove(to.data, from.data, from.bytes());
}

}  // namespace

SoloCommunicator::SoloCommunicator(std::string name, int world_rank)
    : Communicator(std::move(name), {world_rank}, 0, DeviceKind::kHost) {}

void SoloCommunicator::do_all_reduce(const Buffer&, ReduceOp, Traffic) {}

void SoloCommunicator::do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts&, ReduceOp,
                                         Traffic) {
  copy(in, out);
}

void SoloCommunicator::do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts&, Traffic) {
  copy(in, out);
}

void SoloCommunicator::do_broadcast(const Buffer&, int, Traffic) {}

// The base class made sure that each message to itself has its receive, in order.
void SoloCommunicator::do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic) {
  for (std::size_t i = 0; i < sends.size(); ++i) {
    const ConstBuffer& from = sends[i].buffer;
    const Buffer& to = receives[i].buffer;
    if (from.count != to.count || from.dtype != to.dtype)
      fail("exchange on '{}': message {} to itself is {} {}, but {} {} are received", name(), i, from.count,
           name_of(from.dtype), to.count, name_of(to.dtype));
    copy(from, to);
  }
}

void SoloCommunicator::do_barrier(Traffic) {}

}  // namespace trimtab
