// SPDX-License-Identifier: Apache-2.0
//
// How the tensor ranks share a tensor: each holds all of it, or a slab along one dim, in order of the ranks.
// Slabs are of whole units, as the columns of an attention head must stay together; where units do not
// divide, the first ranks hold one more. So any degree up to the number of heads will do, and nothing is
// padded.
#pragma once

#include "runtime/communicator.h"
#include "runtime/shard.h"

namespace trimtab {

struct Cut {
  int dim = -1;           // -1: every rank holds the whole tensor
  std::int64_t size = 0;  // of the dim, over all ranks
  std::int64_t unit = 1;  // elements of it that stay together; divides size

  bool operator==(const Cut&) const = default;
};

inline constexpr Cut kWhole{};

// The k-th of m ranks' part of `size` elements in units of `unit`.
Share share_of_units(std::int64_t size, std::int64_t unit, int k, int m);
// This rank's, of the dim that is cut.
Share share_of(const Cut& cut, const Communicator& tensor);
// The shape of the whole tensor, `here` being that of a rank's slab.
Shape whole_shape(Shape here, const Cut& cut);

}  // namespace trimtab
