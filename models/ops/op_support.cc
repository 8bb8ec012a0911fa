// SPDX-License-Identifier: Apache-2.0
#include "models/ops/op_support.h"

#include <ATen/ops/empty.h>

#include "parallel/upload.h"
#include "runtime/check.h"

namespace trimtab::detail {

at::Tensor checked_mask(const at::Tensor& mask, std::int64_t rows, std::int64_t width, const char* name) {
  if (!mask.defined()) return mask;
  TT_CHECK(mask.dim() == 2 && mask.size(0) == rows && mask.size(1) == width,
           "{} has {} elements, expected [{}, {}]", name, mask.numel(), rows, width);
  TT_CHECK(mask.scalar_type() == at::kFloat, "{} is not float32", name);
  return mask.detach().contiguous();
}

at::Tensor row_of_tokens(const RowLayout& layout, at::Device device) {
  at::Tensor rows = at::empty({layout.tokens()}, at::kLong);
  auto* to = rows.mutable_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    std::fill(to + layout.begin(row), to + layout.begin(row + 1), row);
  return upload(rows, device);
}

std::vector<std::int64_t> lengths_of(const RowLayout& layout) {
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(layout.rows()));
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    lengths[static_cast<std::size_t>(row)] = layout.length(row);
  return lengths;
}

}  // namespace trimtab::detail
