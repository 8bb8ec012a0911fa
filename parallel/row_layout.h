// SPDX-License-Identifier: Apache-2.0
//
// Where each row of a ragged batch lies in a token-major tensor [tokens, width]: rows are never padded.
#pragma once

#include <cstdint>
#include <vector>

namespace trimtab {

class RowLayout {
 public:
  RowLayout() = default;
  // Lengths of the rows, each >= 0.
  explicit RowLayout(const std::vector<std::int64_t>& lengths);

  std::int64_t rows() const { return static_cast<std::int64_t>(offsets_.size()) - 1; }
  std::int64_t tokens() const { return offsets_.back(); }
  std::int64_t begin(std::int64_t row) const { return offsets_[static_cast<std::size_t>(row)]; }
  std::int64_t length(std::int64_t row) const { return begin(row + 1) - begin(row); }
  std::vector<std::int64_t> lengths() const;
  std::int64_t longest() const;
  const std::vector<std::int64_t>& offsets() const { return offsets_; }

  bool operator==(const RowLayout&) const = default;

 private:
  std::vector<std::int64_t> offsets_ = {0};
};

// The same rows with `extra[row]` more positions in each.
RowLayout extended(const RowLayout& layout, const std::vector<std::int64_t>& extra);

}  // namespace trimtab
