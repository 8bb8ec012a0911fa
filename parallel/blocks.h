// SPDX-License-Identifier: Apache-2.0
//
// Loops over float arrays in blocks whose bounds depend on the size alone: they run in parallel, and what
// they add up does not depend on the number of threads.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace trimtab::detail {

inline constexpr std::int64_t kBlockElements = 1 << 15;

// body(begin, end) for consecutive blocks of [0, count), each of at most `size`.
template <typename Body>
void for_blocks(std::int64_t count, std::int64_t size, const Body& body) {
  const std::int64_t blocks = (count + size - 1) / size;
  at::parallel_for(0, blocks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block)
      body(block * size, std::min(count, (block + 1) * size));
  });
}

// The sum of what body(begin, end) returns for those blocks, added in order.
template <typename Body>
double sum_blocks(std::int64_t count, std::int64_t size, const Body& body) {
  std::vector<double> partial(static_cast<std::size_t>((count + size - 1) / size));
  for_blocks(count, size, [&](std::int64_t begin, std::int64_t end) {
    partial[static_cast<std::size_t>(begin / size)] = body(begin, end);
  });
  double sum = 0.0;
  for (const double value : partial) sum += value;
  return sum;
}

// Sum over [begin, end) of element(i), a float, in double; eight running sums let the compiler use vector
// registers.
template <typename Element>
double sum_elements(std::int64_t begin, std::int64_t end, const Element& element) {
  double lanes[8] = {};
  std::int64_t i = begin;
  for (; i + 8 <= end; i += 8)
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += static_cast<double>(element(i + lane));
  double sum =
      ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  for (; i < end; ++i) sum += static_cast<double>(element(i));
  return sum;
}

// Rows of a matrix that make up about one block.
inline std::int64_t block_rows(std::int64_t columns) {
  return std::max<std::int64_t>(1, kBlockElements / std::max<std::int64_t>(1, columns));
}

}  // namespace trimtab::detail
