// SPDX-License-Identifier: Apache-2.0
//
// What greedy decoding has found so far for each row of a batch, and whether any row goes on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace trimtab {

using TokenRows = std::vector<std::vector<std::int32_t>>;

class GreedyRows {
 public:
  GreedyRows(std::int64_t rows, std::int64_t eos_id);

  // The next id of each row, int64 [rows]. A row that has met the end of sequence takes no more.
  void add(const at::Tensor& ids);
  // Every row has met the end of sequence.
  bool done() const { return going_ == 0; }
  // The ids of each row up to and without the end of sequence.
  const TokenRows& found() const { return found_; }

 private:
  std::int64_t eos_id_;
  std::int64_t going_;
  std::vector<bool> ended_;
  TokenRows found_;
};

}  // namespace trimtab
