// SPDX-License-Identifier: Apache-2.0
//
// Parts of attention's arithmetic that need no tiles: numbers, dropout, buckets and the softmax's steps.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "models/ops/ragged_types.h"

#if defined(__CUDACC__)
#define TT_HOST_DEVICE __host__ __device__
#else
#define TT_HOST_DEVICE
#endif

namespace trimtab::ragged {

TT_HOST_DEVICE inline float to_float(float x) { return x; }
TT_HOST_DEVICE inline float to_float(Bfloat16 x) {
  const std::uint32_t wide = static_cast<std::uint32_t>(x.bits) << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}
TT_HOST_DEVICE inline void put(float* to, float x) { *to = x; }
// To the nearest, ties to even; NaN stays NaN.
TT_HOST_DEVICE inline void put(Bfloat16* to, float x) {
  std::uint32_t wide;
  memcpy(&wide, &x, sizeof wide);
  if (x != x)
    to->bits = static_cast<std::uint16_t>((wide >> 16) | 0x40u);
  else
    to->bits = static_cast<std::uint16_t>((wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16);
}

TT_HOST_DEVICE inline int smaller(int a, int b) { return a < b ? a : b; }
TT_HOST_DEVICE inline float larger(float a, float b) { return a < b ? b : a; }
TT_HOST_DEVICE inline float minus_infinity() { return -HUGE_VALF; }

// Word `position` of the stream with this key and upper counter: RandomStream::bits of runtime/random.h.
TT_HOST_DEVICE inline std::uint32_t random_word(const std::uint32_t (&stream)[4], std::uint64_t position) {
  const std::uint64_t block = position / 4;
  std::uint32_t c[4] = {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), stream[2],
                        stream[3]};
  std::uint32_t key0 = stream[0], key1 = stream[1];
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(0xD2511F53u) * c[0];
    const std::uint64_t product1 = static_cast<std::uint64_t>(0xCD9E8D57u) * c[2];
    c[0] = static_cast<std::uint32_t>(product1 >> 32) ^ c[1] ^ key0;
    c[1] = static_cast<std::uint32_t>(product1);
    c[2] = static_cast<std::uint32_t>(product0 >> 32) ^ c[3] ^ key1;
    c[3] = static_cast<std::uint32_t>(product0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c[position % 4];
}

TT_HOST_DEVICE inline int bucket_of(const Setting& s, int distance) {
  const int within = distance < -s.reach ? -s.reach : smaller(distance, s.reach);
  return s.buckets[within + s.reach];
}

TT_HOST_DEVICE inline float bias_of(const Setting& s, int distance, int head) {
  return s.table == nullptr ? 0.0f : s.table[bucket_of(s, distance) * s.heads + head];
}

TT_HOST_DEVICE inline float key_factor(const Setting& s, int row, int key, int head) {
  const KeyDropout& d = s.dropout;
  if (d.mask != nullptr) return d.mask[(s.key_offsets[row] + key) * s.heads + head];
  if (d.streams == nullptr) return 1.0f;
  const std::uint64_t position = (d.site << 32) + static_cast<std::uint64_t>(key) * d.all_heads +
                                 static_cast<std::uint64_t>(d.first_head + head);
  return random_word(d.streams[row].words, position) < d.dropped ? 0.0f : d.kept;
}

TT_HOST_DEVICE inline bool is_visible(bool causal, int query, int key) { return !causal || key <= query; }

// What sums so far shrink by when the largest score becomes `now`.
TT_HOST_DEVICE inline float shrink_of(float before, float now) {
  return before == now ? 1.0f : expf(before - now);
}
// exp(score - largest), 0 where nothing is visible.
TT_HOST_DEVICE inline float weight_of(float score, float largest) {
  return score == minus_infinity() ? 0.0f : expf(score - largest);
}
// The gradient of a score whose weight is p, whose dropped-out weight has the gradient dp.
TT_HOST_DEVICE inline float score_gradient(float p, float factor, float dp, float delta) {
  return p * (factor * dp - delta);
}

}  // namespace trimtab::ragged
