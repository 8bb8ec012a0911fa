// SPDX-License-Identifier: Apache-2.0
//
// The sums of an optimizer step over parameters that tensor ranks and stages share out: with them, clipping
// by RMS, factored row and column means and norms are those of whole parameters. Where no parameter is cut
// and one stage holds all of them, as with a prompt, nothing is sent.
#pragma once

#include "parallel/shared_by_stages.h"
#include "parallel/slice_sums.h"
#include "runtime/communicator.h"

namespace trimtab {

class ShardSums final : public SliceSums {
 public:
  // Collective over `pipe`. All references must outlive this.
  ShardSums(const Parameters& parameters, const SharedByStages& shared, Communicator& tensor,
            Communicator& pipe);

  // Collective over the tensor ranks if a parameter is cut where the sum runs. Added in the order of the
  // ranks, in double, hence the same bits on each.
  void combine(std::span<PartialSum> sums) override;
  // Collective over the pipe if more than one stage holds parameters.
  double across_stages(double value) override;
  bool counts_here(const Parameter& parameter) const override;

 private:
  const SharedByStages& shared_;
  Communicator& tensor_;
  Communicator& pipe_;
  bool many_stages_;
};

}  // namespace trimtab
