// SPDX-License-Identifier: Apache-2.0
//
// What any TensorSource owes its caller, whatever the file: every tensor that it names can be asked for and
// read, and a slab holds the same bytes as that part of the whole.
#pragma once

#include <cstring>
#include <vector>

#include "runtime/check.h"
#include "runtime/shard.h"
#include "runtime/tensor_source.h"

namespace trimtab::fuzz {

// Reads each tensor of `source` whole, then its last row but for the first column, and ends the program when
// the two differ. Tensors of more than `most` elements are left out.
inline void read_everything(const TensorSource& source, std::int64_t most = 1 << 20) {
  for (const std::string& name : source.names()) {
    const auto [type, shape] = source.info(name);
    const std::int64_t count = element_count(shape);
    if (count > most) continue;
    const std::size_t size = size_of(type);
    std::vector<std::byte> all(static_cast<std::size_t>(count) * size);
    source.read(name, {}, type, all.data());
    if (count == 0 || shape.empty()) continue;

    Slab slab = whole(shape);
    std::int64_t length = 1;  // of the slab, which is the end of the tensor
    for (std::size_t dim = 0; dim < shape.size(); ++dim) {
      slab.count[dim] = dim + 1 < shape.size() ? 1 : shape[dim] - (shape[dim] > 1 ? 1 : 0);
      slab.begin[dim] = shape[dim] - slab.count[dim];
      length *= slab.count[dim];
    }
    std::vector<std::byte> part(static_cast<std::size_t>(length) * size);
    source.read(name, slab, type, part.data());
    if (std::memcmp(part.data(), all.data() + all.size() - part.size(), part.size()) != 0) {
      fmt::print(stderr, "tensor '{}' of shape {}: the slab differs from the whole\n", name,
                 to_string(shape));
      std::abort();
    }
  }
}

}  // namespace trimtab::fuzz
