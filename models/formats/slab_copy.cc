// SPDX-License-Identifier: Apache-2.0
#include "models/formats/slab_copy.h"

#include <algorithm>

#include "runtime/shard.h"

namespace trimtab {

void for_each_run(const Shape& shape, const Slab& slab, std::string_view where,
                  const std::function<void(std::int64_t, std::int64_t)>& run) {
  const Slab part = fitted(slab, shape, where);
  if (std::ranges::find(part.count, 0) != part.count.end()) return;
  // All dims after `outer` are whole, so a run spans them and the part of `outer`; the dims before it are
  // walked.
  std::size_t outer = shape.size();
  std::int64_t length = 1;
  while (outer > 0) {
    --outer;
    length *= part.count[outer];
    if (part.count[outer] != shape[outer]) break;
  }
  Shape strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  Shape at = part.begin;
  for (std::size_t dim = 1; dim > 0;) {
    std::int64_t first = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) first += at[i] * strides[i];
    run(first, length);
    // The next place, as an odometer counts; `dim` ends as 0 when all of it was seen.
    for (dim = outer; dim > 0; --dim) {
      if (++at[dim - 1] < part.begin[dim - 1] + part.count[dim - 1]) break;
      at[dim - 1] = part.begin[dim - 1];
    }
  }
}

}  // namespace trimtab
