// SPDX-License-Identifier: Apache-2.0
//
// What happens between local gradients and the optimizer: all gradients, the loss and the token count of this
// replica go into one flat float32 vector, and ONE all_reduce over the data axis adds them up; where a whole
// model is trained, one for each 64 MiB, so that no second copy of the model is held. Nothing is divided: the
// reference trains on the sum over target tokens (paper section 3; t5x/losses.py without a normalizing
// factor).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "parallel/parameter.h"
#include "parallel/slice_sums.h"
#include "runtime/check.h"
#include "runtime/communicator.h"

namespace trimtab {

struct StepTotals {
  double loss = 0.0;           // summed over the target tokens of all replicas
  std::int64_t tokens = 0;     // target tokens of all replicas
  double gradient_norm = 0.0;  // L2 norm of all gradients of all ranks together, after the sum
};

// A gradient or the loss is NaN or infinite.
class NotFinite : public Error {
 public:
  using Error::Error;
};

class GradientSync {
 public:
  // `data` is the communicator along the data axis; `slices` adds norms where a rank holds a part of what is
  // trained, null: this rank holds all. Both must outlive this.
  explicit GradientSync(Communicator& data, SliceSums* slices = nullptr)
      : data_(data), slices_(slices == nullptr ? &whole_ : slices) {}

  // Replaces each gradient by its sum over the replicas. Collective over the data axis; every replica passes
  // the same parameters and gets the same bits. A missing gradient counts as zeros. Loss and count travel as
  // one float each: the loss is rounded to 24 bits, the count stays exact up to 2^24 tokens a step and is
  // refused above. On one replica nothing is copied or sent. Throws NotFinite that names the first parameter
  // with a value that is not finite, or the loss, on all ranks alike.
  StepTotals reduce(const Parameters& parameters, double loss, std::int64_t tokens);

 private:
  void sum_over_replicas(const Parameters& parameters, StepTotals& totals);
  double gradient_norm(const Parameters& parameters, const StepTotals& totals);

  Communicator& data_;
  SliceSums whole_;
  SliceSums* slices_;
  at::Tensor flat_;  // kept from step to step
};

}  // namespace trimtab
