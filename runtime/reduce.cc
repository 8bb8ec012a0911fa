// SPDX-License-Identifier: Apache-2.0
#include "runtime/reduce.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace trimtab {

namespace {

// How an element lies in memory, and the type in which it is accumulated.
struct Float32 {
  using Stored = float;
  using Sum = float;
  static Sum load(Stored x) { return x; }
  static Stored store(Sum x) { return x; }
};
struct BFloat16 {
  using Stored = std::uint16_t;
  using Sum = float;
  static Sum load(Stored x) { return bfloat16_to_float(x); }
  static Stored store(Sum x) { return float_to_bfloat16(x); }
};
template <typename Int>
struct Integer {
  using Stored = Int;
  using Sum = Int;
  static Sum load(Stored x) { return x; }
  static Stored store(Sum x) { return x; }
};

struct Add {
  template <typename T>
  static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      using Unsigned = std::make_unsigned_t<T>;  // wraps where signed overflow would be undefined
      return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
    } else {
      return a + b;
    }
  }
};
// The comparison is false if either is NaN, so `a` needs its own test and a NaN `b` falls through to be
// returned.
struct Larger {
  template <typename T>
  static T apply(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      if (std::isnan(a)) return a;
    return a >= b ? a : b;
  }
};
struct Smaller {
  template <typename T>
  static T apply(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      if (std::isnan(a)) return a;
    return a <= b ? a : b;
  }
};

// A block at a time: sums stay in the cache, and all parts of it are read before any out is written.
template <typename Element, typename Op>
void reduce(std::span<const void* const> parts, std::span<void* const> outs, std::int64_t begin,
            std::int64_t count) {
  using Stored = typename Element::Stored;
  constexpr std::int64_t kBlock = 1024;
  std::array<typename Element::Sum, kBlock> sums;
  std::array<Stored, kBlock> rounded;
  for (std::int64_t done = 0; done < count; done += kBlock) {
    const std::int64_t at = begin + done;
    const auto length = static_cast<std::size_t>(std::min(kBlock, count - done));
    const Stored* first = static_cast<const Stored*>(parts[0]) + at;
    for (std::size_t i = 0; i < length; ++i) sums[i] = Element::load(first[i]);
    for (const void* part : parts.subspan(1)) {
      const Stored* next = static_cast<const Stored*>(part) + at;
      for (std::size_t i = 0; i < length; ++i) sums[i] = Op::apply(sums[i], Element::load(next[i]));
    }
    for (std::size_t i = 0; i < length; ++i) rounded[i] = Element::store(sums[i]);
    for (void* out : outs)
      std::memcpy(static_cast<Stored*>(out) + at, rounded.data(), length * sizeof(Stored));
  }
}

template <typename Element>
void reduce(std::span<const void* const> parts, std::span<void* const> outs, std::int64_t begin,
            std::int64_t count, ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return reduce<Element, Add>(parts, outs, begin, count);
    case ReduceOp::kMax:
      return reduce<Element, Larger>(parts, outs, begin, count);
    case ReduceOp::kMin:
      return reduce<Element, Smaller>(parts, outs, begin, count);
  }
}

}  // namespace

void reduce_in_order(std::span<const void* const> parts, std::span<void* const> outs, std::int64_t begin,
                     std::int64_t count, DType dtype, ReduceOp op) {
  TT_CHECK(!parts.empty(), "nothing to reduce");
  switch (dtype) {
    case DType::kFloat32:
      return reduce<Float32>(parts, outs, begin, count, op);
    case DType::kBFloat16:
      return reduce<BFloat16>(parts, outs, begin, count, op);
    case DType::kInt32:
      return reduce<Integer<std::int32_t>>(parts, outs, begin, count, op);
    case DType::kInt64:
      return reduce<Integer<std::int64_t>>(parts, outs, begin, count, op);
  }
}

}  // namespace trimtab
