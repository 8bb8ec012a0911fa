// SPDX-License-Identifier: Apache-2.0
//
// Which part of something a rank holds: shares of a count, and slabs of tensors. Pure functions of their
// arguments, so every rank knows what every other rank holds without a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/tensor_source.h"

namespace trimtab {

// The elements [begin, end()).
struct Share {
  std::int64_t begin = 0;
  std::int64_t count = 0;

  std::int64_t end() const { return begin + count; }
  bool operator==(const Share&) const = default;
};

enum class Uneven { kRefuse, kAllow };

// What the k-th of m holds of n elements: shares lie in order and cover [0, n). If n is not a multiple of m,
// kRefuse throws ConfigError that names `what` ("attention heads") and the counts that would do; kAllow gives
// one element more to each of the first n % m.
Share share(std::int64_t n, std::int64_t k, std::int64_t m, Uneven uneven = Uneven::kRefuse,
            std::string_view what = "elements");

// "[3, 4]"; "[]" for a scalar.
std::string to_string(const Shape& shape);

// Elements of a tensor: the product of its dims, 1 for a scalar. Throws Error for a negative dim or a product
// that does not fit 64 bits.
std::int64_t element_count(const Shape& shape);

// The slab that is the whole tensor.
Slab whole(const Shape& shape);

// All of the tensor but the elements of `dim` outside `part`. Throws Error if the tensor has no such dim or
// elements.
Slab slab_of_dim(const Shape& shape, std::int64_t dim, const Share& part);

// `slab` with an empty one spelled out as the whole tensor. Throws Error that starts with `where` ("store.h5:
// wi.0") and names shape and slab if it does not fit.
Slab fitted(const Slab& slab, const Shape& shape, std::string_view where);

}  // namespace trimtab
