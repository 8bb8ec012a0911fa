// SPDX-License-Identifier: Apache-2.0
//
// Several prompts of one frozen model as an ensemble (Lester et al. 2021, section 6): the majority of their
// answers to each example, beside what they score one by one, as in the paper's Table 3.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "experiments/evaluator.h"

namespace trimtab {

// For each example the answer that most of the members give. Of equally frequent answers the one whose first
// giver comes first in the list. Answers are compared as texts. All members have answered the same
// examples, and there is at least one.
std::vector<std::string> majority_vote(const std::vector<Evaluation>& members);

struct EnsembleScores {
  std::vector<std::string> predictions;  // the votes
  SplitScores ensemble;
  SplitScores average;   // of each metric over the members
  std::size_t best = 0;  // the member with the best main metric, the first of equals
  double agreement = 0;  // percent of the examples on which all members give one answer
};

// `members` are of `evaluator`'s split. Without its targets there are votes and agreement only.
EnsembleScores score_ensemble(const Evaluator& evaluator, const std::vector<Evaluation>& members);

}  // namespace trimtab
