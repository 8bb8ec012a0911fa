// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of reductions in host memory, shared by the communicators that reduce there: in rank order,
// bfloat16 in float32 and rounded once, so that a result depends on nothing but the values and their order.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/communicator.h"

namespace trimtab {

// outs[k][i] = op over parts[0][i], parts[1][i], ... for i in [begin, begin + count) and every k. Parts and
// outs may share memory. There is at least one part. Integer sums wrap around.
void reduce_in_order(std::span<const void* const> parts, std::span<void* const> outs, std::int64_t begin,
                     std::int64_t count, DType dtype, ReduceOp op);

}  // namespace trimtab
