// SPDX-License-Identifier: Apache-2.0
//
// Attention of one head in one row, forward and backward, on the calling thread. Scores exist for one block
// of queries at a time, small enough to stay in the second-level cache; backward computes them again.
#pragma once

#include <cstdint>
#include <vector>

namespace trimtab::detail {

// C = alpha * op(A) op(B) + beta * C, row-major; op transposes where asked. A call inside a parallel region
// stays on its thread. m, n, k are those of the product.
struct Product {
  bool transpose_a = false;
  bool transpose_b = false;
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  float beta = 0.0f;
};
void multiply(const Product& product, const float* a, std::int64_t ld_a, const float* b, std::int64_t ld_b,
              float* c, std::int64_t ld_c);

// A matrix of one head inside a wider token-major tensor.
struct HeadView {
  const float* data;
  std::int64_t ld;
};
struct MutableHeadView {
  float* data;
  std::int64_t ld;
};

struct HeadInput {
  HeadView q;  // [queries, width]
  HeadView k;  // [keys, width]
  HeadView v;  // [keys, width]
  std::int64_t queries;
  std::int64_t keys;
  std::int64_t width;
  bool causal;            // query i sees keys [0, i]
  const float* bias;      // of distance 0: query i and key k read bias[k - i]; null: none
  const float* key_mask;  // [keys]; null: none
};

// Floats that one thread needs for rows of up to `queries` and `keys`.
std::int64_t head_scratch(std::int64_t queries, std::int64_t keys);

// out [queries, width] and log_sum [queries], for the backward pass.
void head_forward(const HeadInput& in, MutableHeadView out, float* log_sum, float* scratch);

struct HeadGradients {
  MutableHeadView dq;
  MutableHeadView dk;
  MutableHeadView dv;
  float* dbias;       // of distance 0, added to: [-(queries - 1), keys); null: not wanted
  bool adds_to_keys;  // dk and dv are added to: those of a head before it with the same keys
};
void head_backward(const HeadInput& in, HeadView out, HeadView dout, const float* log_sum,
                   const HeadGradients& gradients, float* scratch);

}  // namespace trimtab::detail
