// SPDX-License-Identifier: Apache-2.0
//
// Float32 loops of the fused operations over raw pointers, compiled once for each x86-64 level (baseline,
// AVX2 + FMA, AVX-512) and chosen at run time. They run on the calling thread; the operations cut the work.
// `mask` may be null. Matrices are row-major and dense unless a leading dimension (ld_, in floats) is given.
#pragma once

#include <cstdint>

namespace trimtab::detail {

// Scores of a block of queries against the keys of a row. Query i sees keys [0, min(keys, first_visible + i))
// if causal, otherwise all; `bias` points to the bias of query 0 and key 0, query i and key k read bias[k -
// i]; null: none.
struct ScoreBlock {
  std::int64_t queries;
  std::int64_t keys;
  std::int64_t ld_scores;
  bool causal;
  std::int64_t first_visible;
  const float* bias;
  const float* key_mask;  // [keys] or null
};

struct Rotation {
  const float* cos;  // [tokens, half]
  const float* sin;
  std::int64_t half;
  float factor;
  bool interleaved;
  bool backwards;
};

struct Kernels {
  const char* name;

  // y = exp(x) within 1e-7 or so; below -87 it is the smallest normal number, above 88.3 it stays near the
  // largest.
  void (*exponential)(const float* x, std::int64_t count, float* y);

  void (*rms_norm)(const float* x, const float* weight, float epsilon, std::int64_t tokens,
                   std::int64_t width, float* y, float* rstd);
  void (*rms_norm_backward)(const float* dy, const float* x, const float* weight, const float* rstd,
                            std::int64_t tokens, std::int64_t width, float* dx);
  // dweight[column] for begin <= column < end, summed over all tokens in order.
  void (*rms_norm_weight_gradient)(const float* dy, const float* x, const float* rstd, std::int64_t tokens,
                                   std::int64_t width, std::int64_t begin, std::int64_t end, float* dweight);

  // y = x * mask; y = residual + x * mask: the mask [width] is that of every token.
  void (*scale)(const float* x, const float* mask, std::int64_t tokens, std::int64_t width, float* y);
  void (*add_scaled)(const float* residual, const float* x, const float* mask, std::int64_t tokens,
                     std::int64_t width, float* y);

  void (*gated_gelu)(const float* ab, const float* mask, std::int64_t tokens, std::int64_t ff, float* out);
  void (*gated_gelu_backward)(const float* dout, const float* ab, const float* mask, std::int64_t tokens,
                              std::int64_t ff, float* dab);
  // The same with silu(a) = a * sigmoid(a) for gelu.
  void (*gated_silu)(const float* ab, const float* mask, std::int64_t tokens, std::int64_t ff, float* out);
  void (*gated_silu_backward)(const float* dout, const float* ab, const float* mask, std::int64_t tokens,
                              std::int64_t ff, float* dab);
  void (*relu)(const float* x, const float* mask, std::int64_t tokens, std::int64_t width, float* y);
  void (*relu_backward)(const float* dy, const float* x, const float* mask, std::int64_t tokens,
                        std::int64_t width, float* dx);

  // scores -> key_mask * exp(score + bias - largest) in place, zero where not visible; per query the log of
  // the sum of exp(score + bias), and one over the sum (before the mask) that what is made from the weights
  // has yet to be scaled by.
  void (*softmax)(const ScoreBlock& block, float* scores, float* log_sum, float* inverse_sum);
  // With p = exp(score + bias - log_sum): scores -> key_mask * p, gradient (of the masked weights) -> of the
  // scores, p * (key_mask * gradient - delta), both in place, zero where not visible.
  void (*softmax_backward)(const ScoreBlock& block, const float* log_sum, const float* delta, float* scores,
                           float* gradient);

  // rows of y *= factor[row]
  void (*scale_rows)(const float* factor, std::int64_t rows, std::int64_t width, std::int64_t ld_y, float* y);
  // out[row] = sum of a * b over the row
  void (*dot_rows)(const float* a, std::int64_t ld_a, const float* b, std::int64_t ld_b, std::int64_t rows,
                   std::int64_t width, float* out);
  // Turns pairs of columns: (a, b) -> factor * (a cos - b sin, a sin + b cos), backwards if asked, with the
  // angles [tokens, half] of each token and pair. Pair i is columns i and i + half, or 2 i and 2 i + 1 if
  // interleaved. x and y may be the same.
  void (*rotate)(const Rotation& rotation, const float* x, std::int64_t ld_x, std::int64_t tokens, float* y,
                 std::int64_t ld_y);
  // by_distance[k - i] += gradient[i][k] over the visible keys of the block; the pointer is that of query 0
  // and key 0.
  void (*add_diagonals)(const ScoreBlock& block, const float* gradient, float* by_distance);
};

// The best set that this processor runs.
const Kernels& kernels();
// All sets that this processor runs, worst first, with a count: for tests and benchmarks.
const Kernels* const* all_kernels(int* count);

}  // namespace trimtab::detail
