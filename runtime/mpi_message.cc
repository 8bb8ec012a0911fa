// SPDX-License-Identifier: Apache-2.0
#include "runtime/mpi_message.h"

#include <fmt/format.h>

namespace trimtab::detail {
namespace {

std::string parts_of(const MessageHeader& header) {
  return header.root == 0 ? "" : fmt::format(" in uneven parts ({:08x})", header.root);
}

}  // namespace

// FNV-1a.
std::uint64_t hash(std::string_view text) {
  std::uint64_t state = 14'695'981'039'346'656'037u;
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
  return state;
}

std::int32_t mark_of(const Parts& parts) {
  return parts.even() ? 0 : static_cast<std::int32_t>(hash(parts.text()) >> 33) | 1;
}

std::string describe(const MessageHeader& header) {
  const ConstBuffer buffer(nullptr, header.count, header.dtype);
  switch (header.kind) {
    case CallKind::kAllReduce:
      return describe_call(fmt::format("all_reduce {}", name_of(header.op)), buffer, header.traffic);
    case CallKind::kReduceScatter:
      return describe_call(fmt::format("reduce_scatter {}{}", name_of(header.op), parts_of(header)), buffer,
                           header.traffic);
    case CallKind::kAllGather:
      return describe_call(fmt::format("all_gather{}", parts_of(header)), buffer, header.traffic);
    case CallKind::kBroadcast:
      return describe_call(fmt::format("broadcast from {}", header.root), buffer, header.traffic);
    case CallKind::kBarrier:
      return fmt::format("barrier ({})", name_of(header.traffic));
    case CallKind::kMessage:
      return describe_call("exchange", buffer, header.traffic);
  }
  return fmt::format("a call of the unknown kind {}", static_cast<int>(header.kind));
}

}  // namespace trimtab::detail
