// SPDX-License-Identifier: Apache-2.0
#include "parallel/row_layout.h"

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {

RowLayout::RowLayout(const std::vector<std::int64_t>& lengths) {
  offsets_.reserve(lengths.size() + 1);
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    TT_CHECK(lengths[row] >= 0, "row {} has length {}: lengths are >= 0", row, lengths[row]);
    offsets_.push_back(offsets_.back() + lengths[row]);
  }
}

std::vector<std::int64_t> RowLayout::lengths() const {
  std::vector<std::int64_t> out;
  for (std::int64_t row = 0; row < rows(); ++row) out.push_back(length(row));
  return out;
}

std::int64_t RowLayout::longest() const {
  std::int64_t longest = 0;
  for (std::int64_t row = 0; row < rows(); ++row) longest = std::max(longest, length(row));
  return longest;
}

RowLayout extended(const RowLayout& layout, const std::vector<std::int64_t>& extra) {
  TT_CHECK(static_cast<std::int64_t>(extra.size()) == layout.rows(), "{} extra lengths for {} rows",
           extra.size(), layout.rows());
  std::vector<std::int64_t> lengths(extra.size());
  for (std::size_t row = 0; row < extra.size(); ++row)
    lengths[row] = layout.length(static_cast<std::int64_t>(row)) + extra[row];
  return RowLayout(lengths);
}

}  // namespace trimtab
