// SPDX-License-Identifier: Apache-2.0
//
// Sums that an optimizer takes over a whole parameter when a rank may hold only a slice of it. Each rank sums
// what it holds, `combine` adds what the other ranks hold, and only then is anything divided or compared.
// SliceSums itself is the case of whole parameters: it adds nothing. A sharded run derives from it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "parallel/parameter.h"

namespace trimtab {

enum class SumOver {
  kAll,      // one value: over all elements of the slice
  kColumns,  // one value for each row of the slice
  kRows,     // one value for each column of the slice
  kRowMeans  // one value: over the values of the rows of the slice, each of which is already whole
};

struct PartialSum {
  const Parameter* parameter = nullptr;
  SumOver over = SumOver::kAll;
  std::vector<double> values;
};

class SliceSums {
 public:
  virtual ~SliceSums() = default;
  // Adds the values of the other slices, where `over` runs along the dim that is cut. Called once for all
  // parameters of a phase, with the same list on each rank.
  virtual void combine(std::span<PartialSum> sums);
  // Adds a number that is already whole for this rank's parameters over the ranks that own other parameters.
  virtual double across_stages(double value);
  // Whether the parameter is this rank's to count: of several stages that hold a copy, only one does.
  virtual bool counts_here(const Parameter& parameter) const;
};

}  // namespace trimtab
