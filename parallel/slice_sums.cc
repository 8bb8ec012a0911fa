// SPDX-License-Identifier: Apache-2.0
#include "parallel/slice_sums.h"

namespace trimtab {

std::vector<std::int64_t> SliceSums::whole_shape(const Parameter& parameter) const {
  return parameter.value().sizes().vec();
}

void SliceSums::combine(std::span<PartialSum>) {}

double SliceSums::across_stages(double value) { return value; }

bool SliceSums::counts_here(const Parameter&) const { return true; }

}  // namespace trimtab
