// SPDX-License-Identifier: Apache-2.0
//
// Dropout as T5X does it: one mask per row, broadcast along the length of the row. A row mask is a float32
// tensor [rows, width] that holds 0 or 1 / (1 - rate); an undefined tensor means no dropout. Masks come from
// the counter-based generator, so that a mask depends on neither the layout of ranks nor the cut into
// micro-batches.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/row_layout.h"

namespace trimtab {

// The mask [samples.size(), width] of one dropout site, on the CPU. Row r is a pure function of (seed, step,
// samples[r], site, column): word `site * 2^32 + column` of the stream RandomStream(seed, kDropout, step,
// sample), kept if that word is not below rate * 2^32. Undefined if rate is 0. 0 <= rate < 1.
at::Tensor dropout_mask(const std::vector<std::uint64_t>& samples, std::int64_t width, double rate,
                        std::uint64_t seed, std::int64_t step, std::uint32_t site);

// The mask [layout.tokens(), heads] of attention weights, shared by all queries of a row (self_attention,
// cross_attention): key j of row r and head h has word `site * 2^32 + j * heads + h` of the same stream.
// Undefined if rate is 0.
at::Tensor dropout_key_mask(const std::vector<std::uint64_t>& samples, const RowLayout& layout,
                            std::int64_t heads, double rate, std::uint64_t seed, std::int64_t step,
                            std::uint32_t site);

// x_td * mask of the token's row.
at::Tensor dropout_rows(const at::Tensor& x_td, const at::Tensor& mask_rw, const RowLayout& layout);

// residual_td + x_td * mask of the token's row. The gradient of the residual is passed through, not copied.
at::Tensor add_dropout(const at::Tensor& residual_td, const at::Tensor& x_td, const at::Tensor& mask_rw,
                       const RowLayout& layout);

namespace detail {
at::Tensor dropout_rows_reference(const at::Tensor& x_td, const at::Tensor& mask_rw, const RowLayout& layout);
at::Tensor add_dropout_reference(const at::Tensor& residual_td, const at::Tensor& x_td,
                                 const at::Tensor& mask_rw, const RowLayout& layout);
}  // namespace detail

}  // namespace trimtab
