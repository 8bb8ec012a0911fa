// SPDX-License-Identifier: Apache-2.0
//
// What the operations share: when the fused kernels apply, and how work is cut among LibTorch's threads. The
// cut never changes a result: every output element is computed by one thread, in an order of its own.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "parallel/row_layout.h"

namespace trimtab::detail {

// The fused kernels know float32 on the CPU.
inline bool is_fused(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat;
}

// Types of half the width are computed in float32, others in themselves (float64 is for tests).
inline at::ScalarType compute_type(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

inline const float* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

// A row mask (or none) and its rows. As one plain argument it passes by the autograd machinery, which takes
// no undefined tensors.
struct MaskedRows {
  at::Tensor mask;
  const RowLayout& layout;
};

// Checks that a mask is undefined or float32 [rows, width] and returns it dense and without autograd.
at::Tensor checked_mask(const at::Tensor& mask, std::int64_t rows, std::int64_t width, const char* name);

// The row of each token, int64 [tokens].
at::Tensor row_of_tokens(const RowLayout& layout, at::Device device);

// The lengths of the rows: how an autograd context keeps a layout.
std::vector<std::int64_t> lengths_of(const RowLayout& layout);

// body(first token, tokens, row) over pieces of rows, spread over the threads.
template <typename Body>
void for_tokens(const RowLayout& layout, std::int64_t width, const Body& body) {
  const std::vector<std::int64_t>& offsets = layout.offsets();
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, width));
  at::parallel_for(0, layout.tokens(), grain, [&](std::int64_t begin, std::int64_t end) {
    auto row = std::upper_bound(offsets.begin(), offsets.end(), begin) - offsets.begin() - 1;
    for (std::int64_t token = begin; token < end; ++row) {
      const std::int64_t stop = std::min(end, layout.begin(row + 1));
      if (stop > token) body(token, stop - token, row);
      token = std::max(token, stop);
    }
  });
}

// body(unit, thread) for every unit, each thread taking the next one when it is free. The body runs inside a
// parallel region, hence matrix products in it stay on their thread.
template <typename Body>
void for_units(std::int64_t units, const Body& body) {
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t begin, std::int64_t) {
    for (std::int64_t unit = next.fetch_add(1); unit < units; unit = next.fetch_add(1)) body(unit, begin);
  });
}

}  // namespace trimtab::detail
