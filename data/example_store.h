// SPDX-License-Identifier: Apache-2.0
//
// All tokenised examples of a split, end to end: two id arrays and their offsets. Built once, then read only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/tokenizer.h"

namespace trimtab {

// Sequences of ids laid end to end; offsets has one entry more than there are rows.
struct RaggedIds {
  std::vector<TokenId> ids;
  std::vector<std::int64_t> offsets{0};

  std::size_t rows() const { return offsets.size() - 1; }
  std::int64_t length(std::size_t row) const { return offsets[row + 1] - offsets[row]; }
  std::span<const TokenId> row(std::size_t row) const {
    return {ids.data() + offsets[row], static_cast<std::size_t>(length(row))};
  }
  void append(std::span<const TokenId> ids_of_row) {
    ids.insert(ids.end(), ids_of_row.begin(), ids_of_row.end());
    offsets.push_back(static_cast<std::int64_t>(ids.size()));
  }
};

struct ExampleStore {
  RaggedIds inputs;
  RaggedIds targets;

  std::size_t size() const { return inputs.rows(); }
};

}  // namespace trimtab
