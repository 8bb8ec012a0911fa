// SPDX-License-Identifier: Apache-2.0
//
// All tokenised examples of a split, end to end: two id arrays and their offsets. Built once, then read only,
// in memory or mapped from a file (data/example_cache.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "data/tokenizer.h"
#include "runtime/mapped_tensor.h"

namespace trimtab {

// Sequences of ids laid end to end; offsets has one entry more than there are rows. Moved, not copied.
class RaggedIds {
 public:
  RaggedIds() = default;
  // Of int32 and of int64. The offsets must not be empty, go down or leave the ids.
  RaggedIds(MappedTensor ids, MappedTensor offsets)
      : mapped_(true), mapped_ids_(std::move(ids)), mapped_offsets_(std::move(offsets)) {}

  std::size_t rows() const { return offsets().size() - 1; }
  std::int64_t length(std::size_t row) const { return offsets()[row + 1] - offsets()[row]; }
  std::span<const TokenId> row(std::size_t row) const {
    return {ids().data() + offsets()[row], static_cast<std::size_t>(length(row))};
  }
  std::span<const TokenId> ids() const {
    return mapped_ ? mapped_ids_.elements<TokenId>() : std::span<const TokenId>(ids_);
  }
  std::span<const std::int64_t> offsets() const {
    return mapped_ ? mapped_offsets_.elements<std::int64_t>() : std::span<const std::int64_t>(offsets_);
  }
  // Not to what is mapped.
  void append(std::span<const TokenId> ids_of_row) {
    TT_CHECK(!mapped_, "ids of a file are read only");
    ids_.insert(ids_.end(), ids_of_row.begin(), ids_of_row.end());
    offsets_.push_back(static_cast<std::int64_t>(ids_.size()));
  }

 private:
  bool mapped_ = false;
  std::vector<TokenId> ids_;
  std::vector<std::int64_t> offsets_{0};
  MappedTensor mapped_ids_, mapped_offsets_;
};

struct ExampleStore {
  RaggedIds inputs;
  RaggedIds targets;

  std::size_t size() const { return inputs.rows(); }
};

}  // namespace trimtab
