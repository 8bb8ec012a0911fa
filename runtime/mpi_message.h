// SPDX-License-Identifier: Apache-2.0
//
// What goes before the bytes of each message over MPI, so that ranks that disagree about a call find out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/communicator.h"

namespace trimtab::detail {

enum class CallKind : std::uint8_t { kAllReduce, kReduceScatter, kAllGather, kBroadcast, kBarrier, kMessage };

// A call, or a message of exchange(), as it goes before the bytes. Equal on both sides, or the ranks
// disagree.
struct MessageHeader {
  std::uint64_t group = 0;     // name and members of the communicator, hashed
  std::int64_t operation = 0;  // its calls so far, or messages between two ranks
  std::int64_t count = 0;      // elements of the call's buffer
  std::int64_t bytes = 0;      // of this message
  std::int32_t root = 0;       // of a broadcast; or what tells apart the sizes of uneven parts
  std::int32_t step = 0;       // a call takes several messages between two ranks
  CallKind kind = CallKind::kMessage;
  ReduceOp op = ReduceOp::kSum;
  DType dtype = DType::kFloat32;
  Traffic traffic = Traffic::kControl;

  bool operator==(const MessageHeader&) const = default;
};

std::uint64_t hash(std::string_view text);

// What tells uneven parts from even ones and from others: 0 for even ones.
std::int32_t mark_of(const Parts& parts);

// As describe_call() and the other communicators say it.
std::string describe(const MessageHeader& header);

}  // namespace trimtab::detail
