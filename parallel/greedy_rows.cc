// SPDX-License-Identifier: Apache-2.0
#include "parallel/greedy_rows.h"

#include "runtime/check.h"

namespace trimtab {

GreedyRows::GreedyRows(std::int64_t rows, std::int64_t eos_id)
    : eos_id_(eos_id),
      going_(rows),
      ended_(static_cast<std::size_t>(rows), false),
      found_(static_cast<std::size_t>(rows)) {}

void GreedyRows::add(const at::Tensor& ids) {
  TT_CHECK(ids.numel() == static_cast<std::int64_t>(found_.size()), "{} ids for {} rows", ids.numel(),
           found_.size());
  const at::Tensor host = ids.cpu().contiguous();
  const std::int64_t* next = host.const_data_ptr<std::int64_t>();
  for (std::size_t row = 0; row < found_.size(); ++row) {
    if (ended_[row]) continue;
    if (next[row] == eos_id_) {
      ended_[row] = true;
      --going_;
    } else {
      found_[row].push_back(static_cast<std::int32_t>(next[row]));
    }
  }
}

}  // namespace trimtab
