// SPDX-License-Identifier: Apache-2.0
#include "runtime/shard.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {

namespace {

// The divisors of n, for the remedy in a message: "1, 2, 3, 4, 6 or 12".
std::string divisors(std::int64_t n) {
  constexpr std::int64_t kMostListed = 4096;  // beyond this the list is no help
  if (n > kMostListed) return "a divisor of it";
  std::vector<std::int64_t> found;
  for (std::int64_t d = 1; d <= n; ++d)
    if (n % d == 0) found.push_back(d);
  if (found.size() == 1) return "1";
  const std::int64_t last = found.back();
  found.pop_back();
  return fmt::format("{} or {}", fmt::join(found, ", "), last);
}

}  // namespace

Share share(std::int64_t n, std::int64_t k, std::int64_t m, Uneven uneven, std::string_view what) {
  if (n < 0 || m < 1 || k < 0 || k >= m) fail("share {} of {} of {} {} does not exist", k, m, n, what);
  if (n % m != 0 && uneven == Uneven::kRefuse)
    fail_config("{} {} cannot be split evenly over {} ranks: use {} ranks", n, what, m, divisors(n));
  const std::int64_t base = n / m;
  const std::int64_t extra = n % m;
  return {.begin = k * base + std::min(k, extra), .count = base + (k < extra ? 1 : 0)};
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::int64_t element_count(const Shape& shape) {
  std::int64_t product = 1;
  for (const std::int64_t dim : shape) {
    if (dim < 0) fail("shape {} has a negative dim", to_string(shape));
    if (__builtin_mul_overflow(product, dim, &product))
      fail("shape {} has more elements than a 64-bit number can hold", to_string(shape));
  }
  return product;
}

Slab whole(const Shape& shape) {
  return {.begin = std::vector<std::int64_t>(shape.size(), 0), .count = shape};
}

Slab slab_of_dim(const Shape& shape, std::int64_t dim, const Share& part) {
  if (dim < 0 || dim >= static_cast<std::int64_t>(shape.size()))
    fail("a tensor of shape {} has no dim {}", to_string(shape), dim);
  Slab slab = whole(shape);
  slab.begin[static_cast<std::size_t>(dim)] = part.begin;
  slab.count[static_cast<std::size_t>(dim)] = part.count;
  return fitted(slab, shape, "slab");
}

Slab fitted(const Slab& slab, const Shape& shape, std::string_view where) {
  if (slab.begin.empty() && slab.count.empty()) return whole(shape);
  bool fits = slab.begin.size() == shape.size() && slab.count.size() == shape.size();
  for (std::size_t d = 0; fits && d < shape.size(); ++d)
    fits = slab.begin[d] >= 0 && slab.count[d] >= 0 && slab.begin[d] <= shape[d] &&
           slab.count[d] <= shape[d] - slab.begin[d];
  if (!fits)
    fail("{}: the slab of {} elements from {} does not lie inside the tensor of shape {}", where,
         to_string(slab.count), to_string(slab.begin), to_string(shape));
  return slab;
}

}  // namespace trimtab
