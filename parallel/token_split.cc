// SPDX-License-Identifier: Apache-2.0
#include "parallel/token_split.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "parallel/collectives.h"
#include "parallel/upload.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

RowLayout part_of(const RowLayout& layout, const Share& tokens) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t row = 0; row < layout.rows(); ++row)
    lengths.push_back(std::max<std::int64_t>(
        0, std::min(layout.begin(row + 1), tokens.end()) - std::max(layout.begin(row), tokens.begin)));
  return RowLayout(lengths);
}

}  // namespace

TokenSplit::TokenSplit(RowLayout layout, Communicator& tensor, bool split)
    : layout_(std::move(layout)), tensor_(&tensor), splits_(split && tensor.size() > 1) {
  share_ = splits_ ? own_tokens(layout_.tokens(), tensor) : Share{0, layout_.tokens()};
  own_ = splits_ ? part_of(layout_, share_) : layout_;
}

at::Tensor TokenSplit::enter(const at::Tensor& x_td) const {
  return splits_ ? gather_tokens(x_td, layout_.tokens(), *tensor_) : enter_tensor_region(x_td, *tensor_);
}

at::Tensor TokenSplit::leave(const at::Tensor& part_td) const {
  return splits_ ? scatter_tokens(part_td, *tensor_) : leave_tensor_region(part_td, *tensor_);
}

at::Tensor TokenSplit::weight(const at::Tensor& whole) const {
  return splits_ && whole.requires_grad() ? enter_tensor_region(whole, *tensor_) : whole;
}

at::Tensor TokenSplit::all_of(const at::Tensor& x_td) const {
  const c10::NoGradGuard no_grad;
  return splits_ ? gather_tokens(x_td, layout_.tokens(), *tensor_) : x_td;
}

// Each rank gives the tokens that it holds and zeros for others, so that the sums are the tokens.
at::Tensor TokenSplit::select(const at::Tensor& x_td, const at::Tensor& index, const TokenSplit& to) const {
  TT_CHECK(to.splits_ == splits_ && to.layout_.tokens() == index.numel(),
           "{} of the tokens of a stream for a layout of {}", index.numel(), to.layout_.tokens());
  if (!splits_) return x_td.index_select(0, upload(index, x_td.device()));
  at::Tensor here = index - share_.begin;
  here.masked_fill_(here.lt(0).bitwise_or(here.ge(share_.count)), share_.count);
  const at::Tensor nothing = at::zeros({1, x_td.size(1)}, x_td.options().requires_grad(false));
  return to.leave(at::cat({x_td, nothing}).index_select(0, upload(here, x_td.device())));
}

}  // namespace trimtab
