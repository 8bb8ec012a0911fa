// SPDX-License-Identifier: Apache-2.0
//
// How the tokens of a residual stream lie on the tensor ranks. Usually each holds all of them. With sequence
// parallelism (Korthikanti et al. 2022, section 4.2.2) rank r holds the r-th share: norms, dropout and
// residual sums are computed once and not on every rank, and the region in which heads and columns are shared
// out is entered by gathering tokens and left by scattering sums. Layers are written once for both.
#pragma once

#include <ATen/core/Tensor.h>

#include "parallel/row_layout.h"
#include "runtime/communicator.h"
#include "runtime/shard.h"

namespace trimtab {

class TokenSplit {
 public:
  // `split` has no effect on one tensor rank. `tensor` outlives this and what autograd keeps of it.
  TokenSplit(RowLayout layout, Communicator& tensor, bool split);

  bool splits() const { return splits_; }
  // All tokens.
  const RowLayout& layout() const { return layout_; }
  // Those of this rank: as many rows, of which others may hold parts or all.
  const RowLayout& own() const { return own_; }
  // Where they are among all.
  const Share& share() const { return share_; }

  // [own tokens, d] -> [tokens, d], ready for sharded work: a gradient is summed over the ranks on its way
  // back. Collective in backward, and in forward if tokens are split.
  at::Tensor enter(const at::Tensor& x_td) const;
  // What this rank adds to each token, [tokens, d] -> the sums over the ranks, [own tokens, d]. Collective in
  // forward, and in backward if tokens are split.
  at::Tensor leave(const at::Tensor& part_td) const;
  // Something that every rank holds whole and that own tokens meet: where it is trained, its gradient is
  // summed over what the ranks' tokens give.
  at::Tensor weight(const at::Tensor& whole) const;
  // [own tokens, d] -> [tokens, d] on every rank, for looking at. No gradient. Collective if tokens are
  // split.
  at::Tensor all_of(const at::Tensor& x_td) const;
  // The tokens `index`, int64 on the host, of a stream that lies like this, as a stream that lies like `to`.
  at::Tensor select(const at::Tensor& x_td, const at::Tensor& index, const TokenSplit& to) const;

 private:
  RowLayout layout_, own_;
  Communicator* tensor_;
  bool splits_;
  Share share_;
};

}  // namespace trimtab
