// SPDX-License-Identifier: Apache-2.0
//
// Which stage of a pipeline runs which part of a model. The model gives its parts in order with what each
// costs (layers of one token more or less, embeddings, heads); the plan cuts them into contiguous stages so
// that the dearest stage is as cheap as it can be. Stages may be uneven; nothing here knows what a part is.
#pragma once

#include <string>
#include <vector>

namespace trimtab {

struct CostUnit {
  std::string name;   // "encoder 3"
  double cost = 0.0;  // operations of one row, >= 0
};

class StagePlan {
 public:
  // Stages of the given numbers of units. Throws ConfigError unless each has at least one and they add up.
  StagePlan(std::vector<CostUnit> units, const std::vector<int>& sizes);

  int stages() const { return static_cast<int>(begin_.size()) - 1; }
  const std::vector<CostUnit>& units() const { return units_; }
  // Units [begin, end) of a stage.
  int begin(int stage) const { return begin_[static_cast<std::size_t>(stage)]; }
  int end(int stage) const { return begin_[static_cast<std::size_t>(stage) + 1]; }
  double cost(int stage) const;
  // The dearest stage over the mean: 1 is perfect, and 1 / this bounds the use of the machines.
  double imbalance() const;

  // A line a stage: its units, its cost and its share; and the imbalance.
  std::string text() const;

 private:
  std::vector<CostUnit> units_;
  std::vector<int> begin_;  // of each stage, then the number of units
};

// The contiguous cut whose dearest stage is cheapest; of those, the one with the most even stages (least sum
// of squares). Throws ConfigError if there are more stages than units, or a cost that makes no sense.
StagePlan balanced_plan(std::vector<CostUnit> units, int stages);

}  // namespace trimtab
