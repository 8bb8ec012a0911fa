// SPDX-License-Identifier: Apache-2.0
//
// What saving takes of a run's time.
#pragma once

#include <cstdint>

#include "experiments/stopwatch.h"

namespace trimtab {

// Of all parts of a run: the share of its seconds can be read off the record.
struct SavingCost {
  double seconds = 0.0;
  std::int64_t times = 0;
};

// Adds what happens as long as it lives.
class CountedCost {
 public:
  explicit CountedCost(SavingCost& cost) : cost_(cost) { clock_.start(); }
  ~CountedCost() {
    cost_.seconds += clock_.seconds();
    ++cost_.times;
  }
  CountedCost(const CountedCost&) = delete;
  CountedCost& operator=(const CountedCost&) = delete;

 private:
  SavingCost& cost_;
  Stopwatch clock_;
};

}  // namespace trimtab
