// SPDX-License-Identifier: Apache-2.0
//
// The communicator of one rank: every reduction is the identity, and it counts calls as the others do. Degree
// 1 is not a special case anywhere else.
#pragma once

#include "runtime/communicator.h"

namespace trimtab {

class SoloCommunicator : public Communicator {
 public:
  // `world_rank` is the rank that it consists of.
  explicit SoloCommunicator(std::string name, int world_rank = 0);

 private:
  void do_all_reduce(const Buffer& buffer, ReduceOp op, Traffic traffic) override;
  void do_reduce_scatter(const ConstBuffer& in, const Buffer& out, const Parts& parts, ReduceOp op,
                         Traffic traffic) override;
  void do_all_gather(const ConstBuffer& in, const Buffer& out, const Parts& parts, Traffic traffic) override;
  void do_broadcast(const Buffer& buffer, int root, Traffic traffic) override;
  void do_exchange(std::span<const Send> sends, std::span<const Receive> receives, Traffic traffic) override;
  void do_barrier(Traffic traffic) override;
};

}  // namespace trimtab
