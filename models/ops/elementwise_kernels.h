// SPDX-License-Identifier: Apache-2.0
//
// Norm, dropout and activation loops of models/ops/kernels.h. Included by one source for each instruction
// set.
#pragma once

#include <cstdint>

#include "models/ops/vector_math.h"

namespace trimtab::detail {
namespace {

void exponential(const float* x, std::int64_t count, float* y) {
  sweep(count, [&](std::int64_t i, auto lanes) { store(y + i, exp_of(load(x + i, lanes)), lanes); });
}

// Sum of f(offset, lanes) over the width. Four sums in flight hide the latency of the addition.
template <typename Term>
[[gnu::always_inline]] inline float sum_over(std::int64_t width, Term term) {
  Vec sums[4] = {};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= width; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j) sums[j] += term(i + j * kLanes, Whole{});
  for (; i + kLanes <= width; i += kLanes) sums[0] += term(i, Whole{});
  if (i < width) sums[1] += term(i, Part{width - i});
  return sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

void rms_norm(const float* x, const float* weight, float epsilon, std::int64_t tokens, std::int64_t width,
              float* y, float* rstd) {
  for (std::int64_t t = 0; t < tokens; ++t, x += width, y += width) {
    const float squares = sum_over(width, [&](std::int64_t i, auto lanes) {
      const Vec value = load(x + i, lanes);
      return value * value;
    });
    const float factor = 1.0f / __builtin_sqrtf(squares / static_cast<float>(width) + epsilon);
    rstd[t] = factor;
    sweep(width, [&](std::int64_t i, auto lanes) {
      store(y + i, load(x + i, lanes) * factor * load(weight + i, lanes), lanes);
    });
  }
}

// dx = rstd * (w * dy - x * rstd^2 * mean(w * dy * x))
void rms_norm_backward(const float* dy, const float* x, const float* weight, const float* rstd,
                       std::int64_t tokens, std::int64_t width, float* dx) {
  for (std::int64_t t = 0; t < tokens; ++t, x += width, dy += width, dx += width) {
    const float dot = sum_over(width, [&](std::int64_t i, auto lanes) {
      return load(dy + i, lanes) * load(weight + i, lanes) * load(x + i, lanes);
    });
    const float factor = rstd[t];
    const float shrink = factor * factor * factor * (dot / static_cast<float>(width));
    sweep(width, [&](std::int64_t i, auto lanes) {
      const Vec direct = load(dy + i, lanes) * load(weight + i, lanes) * factor;
      store(dx + i, direct - load(x + i, lanes) * shrink, lanes);
    });
  }
}

void rms_norm_weight_gradient(const float* dy, const float* x, const float* rstd, std::int64_t tokens,
                              std::int64_t width, std::int64_t begin, std::int64_t end, float* dweight) {
  sweep(end - begin, [&](std::int64_t i, auto lanes) {
    const std::int64_t column = begin + i;
    Vec sum = {};
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::int64_t at = t * width + column;
      sum += load(dy + at, lanes) * load(x + at, lanes) * rstd[t];
    }
    store(dweight + column, sum, lanes);
  });
}

void scale(const float* x, const float* mask, std::int64_t tokens, std::int64_t width, float* y) {
  for (std::int64_t t = 0; t < tokens; ++t, x += width, y += width)
    sweep(width, [&](std::int64_t i, auto lanes) {
      store(y + i, load(x + i, lanes) * load(mask + i, lanes), lanes);
    });
}

void add_scaled(const float* residual, const float* x, const float* mask, std::int64_t tokens,
                std::int64_t width, float* y) {
  for (std::int64_t t = 0; t < tokens; ++t, residual += width, x += width, y += width)
    sweep(width, [&](std::int64_t i, auto lanes) {
      const Vec value = load(x + i, lanes);
      store(y + i, load(residual + i, lanes) + (mask ? value * load(mask + i, lanes) : value), lanes);
    });
}

struct Activation {
  Vec value;
  Vec slope;
};

// gelu(a) = a / 2 * (1 + tanh(u)) = a * sigmoid(2 u), u = sqrt(2 / pi) (a + 0.044715 a^3): no cancellation
// for a << 0.
struct GatedGelu {
  template <bool kSlope>
  [[gnu::always_inline]] static inline Activation of(Vec a) {
    constexpr float kLinear = 2.0f * 0.7978845608028654f;
    constexpr float kCubic = kLinear * 0.044715f;
    const Vec bounded =
        at_least(at_most(a, 32.0f), -32.0f);  // beyond it, sigmoid is 0 or 1 and a^2 could overflow
    const Vec square = bounded * bounded;
    const Vec twice_u = bounded * (square * kCubic + kLinear);
    const Vec sigmoid = 1.0f / (exp_of(-twice_u) + 1.0f);
    Activation result = {a * sigmoid, {}};
    if constexpr (kSlope)
      result.slope = sigmoid + result.value * (1.0f - sigmoid) * (square * (3.0f * kCubic) + kLinear);
    return result;
  }
};

// silu(a) = a * sigmoid(a); its slope is sigmoid + silu * (1 - sigmoid).
struct GatedSilu {
  template <bool kSlope>
  [[gnu::always_inline]] static inline Activation of(Vec a) {
    const Vec sigmoid = 1.0f / (exp_of(-a) + 1.0f);
    Activation result = {at_least(a, -88.0f) * sigmoid, {}};  // below, sigmoid is as small as it gets
    if constexpr (kSlope) result.slope = sigmoid + result.value * (1.0f - sigmoid);
    return result;
  }
};

template <class Gate>
[[gnu::always_inline]] inline void gated(const float* ab, const float* mask, std::int64_t tokens,
                                         std::int64_t ff, float* out) {
  for (std::int64_t t = 0; t < tokens; ++t, ab += 2 * ff, out += ff)
    sweep(ff, [&](std::int64_t i, auto lanes) {
      Vec value = Gate::template of<false>(load(ab + i, lanes)).value * load(ab + ff + i, lanes);
      if (mask) value *= load(mask + i, lanes);
      store(out + i, value, lanes);
    });
}

template <class Gate>
[[gnu::always_inline]] inline void gated_backward(const float* dout, const float* ab, const float* mask,
                                                  std::int64_t tokens, std::int64_t ff, float* dab) {
  for (std::int64_t t = 0; t < tokens; ++t, ab += 2 * ff, dab += 2 * ff, dout += ff)
    sweep(ff, [&](std::int64_t i, auto lanes) {
      const Activation gate = Gate::template of<true>(load(ab + i, lanes));
      Vec gradient = load(dout + i, lanes);
      if (mask) gradient *= load(mask + i, lanes);
      store(dab + i, gradient * load(ab + ff + i, lanes) * gate.slope, lanes);
      store(dab + ff + i, gradient * gate.value, lanes);
    });
}

void gated_gelu(const float* ab, const float* mask, std::int64_t tokens, std::int64_t ff, float* out) {
  gated<GatedGelu>(ab, mask, tokens, ff, out);
}
void gated_gelu_backward(const float* dout, const float* ab, const float* mask, std::int64_t tokens,
                         std::int64_t ff, float* dab) {
  gated_backward<GatedGelu>(dout, ab, mask, tokens, ff, dab);
}
void gated_silu(const float* ab, const float* mask, std::int64_t tokens, std::int64_t ff, float* out) {
  gated<GatedSilu>(ab, mask, tokens, ff, out);
}
void gated_silu_backward(const float* dout, const float* ab, const float* mask, std::int64_t tokens,
                         std::int64_t ff, float* dab) {
  gated_backward<GatedSilu>(dout, ab, mask, tokens, ff, dab);
}

void relu(const float* x, const float* mask, std::int64_t tokens, std::int64_t width, float* y) {
  for (std::int64_t t = 0; t < tokens; ++t, x += width, y += width)
    sweep(width, [&](std::int64_t i, auto lanes) {
      Vec value = at_least(load(x + i, lanes), 0.0f);
      if (mask) value *= load(mask + i, lanes);
      store(y + i, value, lanes);
    });
}

void relu_backward(const float* dy, const float* x, const float* mask, std::int64_t tokens,
                   std::int64_t width, float* dx) {
  for (std::int64_t t = 0; t < tokens; ++t, x += width, dy += width, dx += width)
    sweep(width, [&](std::int64_t i, auto lanes) {
      Vec gradient = load(dy + i, lanes);
      if (mask) gradient *= load(mask + i, lanes);
      store(dx + i, load(x + i, lanes) > Vec{} ? gradient : Vec{}, lanes);
    });
}

}  // namespace
}  // namespace trimtab::detail
