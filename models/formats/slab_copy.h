// SPDX-License-Identifier: Apache-2.0
//
// A slab of a row-major tensor as the contiguous runs that it consists of.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "runtime/tensor_source.h"

namespace trimtab {

// Calls run(first element in the tensor, number of elements) for each contiguous run of the slab, in
// row-major order. Throws Error that starts with `where` and names shape and slab when it does not fit.
void for_each_run(const Shape& shape, const Slab& slab, std::string_view where,
                  const std::function<void(std::int64_t, std::int64_t)>& run);

}  // namespace trimtab
