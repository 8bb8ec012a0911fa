// SPDX-License-Identifier: Apache-2.0
//
// Softmax loops of models/ops/kernels.h. Included by one source for each instruction set.
#pragma once

#include <cstdint>

#include "models/ops/elementwise_kernels.h"
#include "models/ops/kernels.h"

namespace trimtab::detail {
namespace {

[[gnu::always_inline]] inline std::int64_t visible_keys(const ScoreBlock& block, std::int64_t query) {
  const std::int64_t visible = block.first_visible + query;
  return block.causal && visible < block.keys ? visible : block.keys;
}

inline void zero_fill(float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) values[i] = 0.0f;
}

// Adds the bias in place and returns the largest score.
[[gnu::always_inline]] inline float add_bias(float* row, const float* bias, std::int64_t keys) {
  constexpr float kLowest = -3.402823466e38f;
  Vec largest = splat(kLowest);
  sweep(keys, [&](std::int64_t k, auto lanes) {
    Vec score = load(row + k, lanes, kLowest);
    if (bias) {
      score += load(bias + k, lanes);
      store(row + k, score, lanes);
    }
    largest = score > largest ? score : largest;
  });
  return largest_of(largest);
}

void softmax(const ScoreBlock& block, float* scores, float* log_sum, float* inverse_sum) {
  for (std::int64_t q = 0; q < block.queries; ++q) {
    float* row = scores + q * block.ld_scores;
    const std::int64_t keys = visible_keys(block, q);
    const float largest = add_bias(row, block.bias ? block.bias - q : nullptr, keys);
    Vec sums = {};
    sweep(keys, [&](std::int64_t k, auto lanes) {
      Vec weight = exp_of(load(row + k, lanes) - largest);
      sums += first_lanes(weight, lanes);
      if (block.key_mask) weight *= load(block.key_mask + k, lanes);
      store(row + k, weight, lanes);
    });
    const float sum = sum_of(sums);
    zero_fill(row + keys, block.keys - keys);
    log_sum[q] = largest + __builtin_logf(sum);
    inverse_sum[q] = 1.0f / sum;
  }
}

void softmax_backward(const ScoreBlock& block, const float* log_sum, const float* delta, float* scores,
                      float* gradient) {
  for (std::int64_t q = 0; q < block.queries; ++q) {
    float* row = scores + q * block.ld_scores;
    float* slope = gradient + q * block.ld_scores;
    const float* bias = block.bias ? block.bias - q : nullptr;
    const std::int64_t keys = visible_keys(block, q);
    const float shift = log_sum[q];
    const float mean = delta[q];
    sweep(keys, [&](std::int64_t k, auto lanes) {
      Vec score = load(row + k, lanes);
      if (bias) score += load(bias + k, lanes);
      const Vec weight = exp_of(score - shift);
      Vec masked_gradient = load(slope + k, lanes);
      Vec masked_weight = weight;
      if (block.key_mask) {
        const Vec mask = load(block.key_mask + k, lanes);
        masked_gradient *= mask;
        masked_weight *= mask;
      }
      store(row + k, masked_weight, lanes);
      store(slope + k, weight * (masked_gradient - mean), lanes);
    });
    zero_fill(row + keys, block.keys - keys);
    zero_fill(slope + keys, block.keys - keys);
  }
}

void scale_rows(const float* factor, std::int64_t rows, std::int64_t width, std::int64_t ld_y, float* y) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* row = y + r * ld_y;
    sweep(width,
          [&](std::int64_t i, auto lanes) { store(row + i, load(row + i, lanes) * factor[r], lanes); });
  }
}

void dot_rows(const float* a, std::int64_t ld_a, const float* b, std::int64_t ld_b, std::int64_t rows,
              std::int64_t width, float* out) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* left = a + r * ld_a;
    const float* right = b + r * ld_b;
    out[r] = sum_over(
        width, [&](std::int64_t i, auto lanes) { return load(left + i, lanes) * load(right + i, lanes); });
  }
}

void rotate_interleaved(const Rotation& r, const float* x, std::int64_t ld_x, std::int64_t tokens, float* y,
                        std::int64_t ld_y) {
  for (std::int64_t t = 0; t < tokens; ++t, x += ld_x, y += ld_y) {
    const float* cos = r.cos + t * r.half;
    const float* sin = r.sin + t * r.half;
    for (std::int64_t i = 0; i < r.half; ++i) {
      const float turn = r.backwards ? -sin[i] : sin[i];
      const float a = x[2 * i], b = x[2 * i + 1];
      y[2 * i] = r.factor * (a * cos[i] - b * turn);
      y[2 * i + 1] = r.factor * (a * turn + b * cos[i]);
    }
  }
}

void rotate(const Rotation& r, const float* x, std::int64_t ld_x, std::int64_t tokens, float* y,
            std::int64_t ld_y) {
  if (r.interleaved) return rotate_interleaved(r, x, ld_x, tokens, y, ld_y);
  const float turn = r.backwards ? -r.factor : r.factor;
  for (std::int64_t t = 0; t < tokens; ++t, x += ld_x, y += ld_y)
    sweep(r.half, [&](std::int64_t i, auto lanes) {
      const Vec a = load(x + i, lanes), b = load(x + r.half + i, lanes);
      const Vec cos = load(r.cos + t * r.half + i, lanes) * r.factor;
      const Vec sin = load(r.sin + t * r.half + i, lanes) * turn;
      store(y + i, a * cos - b * sin, lanes);
      store(y + r.half + i, a * sin + b * cos, lanes);
    });
}

void add_diagonals(const ScoreBlock& block, const float* gradient, float* by_distance) {
  for (std::int64_t q = 0; q < block.queries; ++q) {
    const float* row = gradient + q * block.ld_scores;
    float* to = by_distance - q;
    sweep(visible_keys(block, q), [&](std::int64_t k, auto lanes) {
      store(to + k, load(to + k, lanes) + load(row + k, lanes), lanes);
    });
  }
}

constexpr Kernels make_kernels(const char* name) {
  return {name,
          exponential,
          rms_norm,
          rms_norm_backward,
          rms_norm_weight_gradient,
          scale,
          add_scaled,
          gated_gelu,
          gated_gelu_backward,
          gated_silu,
          gated_silu_backward,
          relu,
          relu_backward,
          softmax,
          softmax_backward,
          scale_rows,
          dot_rows,
          rotate,
          add_diagonals};
}

}  // namespace
}  // namespace trimtab::detail
