// SPDX-License-Identifier: Apache-2.0
//
// Vectors as wide as the instruction set that the including source is compiled for. Everything has internal
// linkage, and nothing here or in the kernels may call an inline function of the standard library: the linker
// could then pick the AVX-512 body of that function for the whole program. Compile with -fno-math-errno
// -fno-trapping-math -ffp-contract=fast and without -ffast-math: the reductions are explicit, and exp needs
// its rounding trick.
#pragma once

#include <cstdint>

namespace trimtab::detail {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr std::int64_t kLanes = kVectorBytes / 4;

using Vec = float __attribute__((vector_size(kVectorBytes)));
using VecUnaligned = float __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
using VecInt = std::int32_t __attribute__((vector_size(kVectorBytes)));

// How many lanes of a vector hold data: all, or those at the end of a row.
struct Whole {
  static constexpr std::int64_t count = kLanes;
};
struct Part {
  std::int64_t count;
};

[[gnu::always_inline]] inline Vec splat(float value) { return Vec{} + value; }
[[gnu::always_inline]] inline Vec load(const float* from, Whole) {
  return *reinterpret_cast<const VecUnaligned*>(from);
}
[[gnu::always_inline]] inline void store(float* to, Vec value, Whole) {
  *reinterpret_cast<VecUnaligned*>(to) = value;
}
[[gnu::always_inline]] inline Vec load(const float* from, Part part, float fill = 0.0f) {
  float lanes[kLanes];
  for (std::int64_t i = 0; i < kLanes; ++i) lanes[i] = i < part.count ? from[i] : fill;
  return load(lanes, Whole{});
}
[[gnu::always_inline]] inline Vec load(const float* from, Whole whole, float) { return load(from, whole); }
[[gnu::always_inline]] inline void store(float* to, Vec value, Part part) {
  float lanes[kLanes];
  store(lanes, value, Whole{});
  for (std::int64_t i = 0; i < part.count; ++i) to[i] = lanes[i];
}

// Zero in the lanes without data.
[[gnu::always_inline]] inline Vec first_lanes(Vec value, Whole) { return value; }
[[gnu::always_inline]] inline Vec first_lanes(Vec value, Part part) {
  float lanes[kLanes];
  store(lanes, value, Whole{});
  return load(lanes, part);
}

// body(offset, Whole or Part) over [0, count).
template <typename Body>
[[gnu::always_inline]] inline void sweep(std::int64_t count, Body body) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, Whole{});
  if (i < count) body(i, Part{count - i});
}

[[gnu::always_inline]] inline float sum_of(Vec value) {
  float lanes[kLanes];
  store(lanes, value, Whole{});
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2)
    for (std::int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

[[gnu::always_inline]] inline float largest_of(Vec value) {
  float lanes[kLanes];
  store(lanes, value, Whole{});
  float largest = lanes[0];
  for (std::int64_t i = 1; i < kLanes; ++i) largest = lanes[i] > largest ? lanes[i] : largest;
  return largest;
}

// NaN stays NaN in both.
[[gnu::always_inline]] inline Vec at_most(Vec value, float bound) {
  return value > splat(bound) ? splat(bound) : value;
}
[[gnu::always_inline]] inline Vec at_least(Vec value, float bound) {
  return value < splat(bound) ? splat(bound) : value;
}

// Cody-Waite reduction to |r| <= ln(2) / 2 and a minimax polynomial (the constants of Cephes' expf).
[[gnu::always_inline]] inline Vec exp_of(Vec x) {
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = at_least(at_most(x, 88.37f), -87.33f);
  const Vec shifted = x * 1.44269504088896341f + kRounder;
  const Vec whole = shifted - kRounder;
  Vec r = x - whole * 0.693359375f;
  r = r - whole * -2.12194440e-4f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const VecInt exponent = reinterpret_cast<VecInt>(shifted) - 0x4b400000 + 127;
  const VecInt power = exponent << 23;
  return p * reinterpret_cast<Vec>(power);
}

}  // namespace
}  // namespace trimtab::detail
