// SPDX-License-Identifier: Apache-2.0
//
// Which of a task's labels a model finds likeliest, as an alternative to what it generates: a model that was
// not tuned rarely says a label, but prefers one. A label's likelihood is that of its tokens, without the end
// of sequence; each input is read once for all labels.
#pragma once

#include <string>
#include <vector>

#include "data/text_recipe.h"
#include "parallel/candidate_walk.h"

namespace trimtab {

class LabelRanking {
 public:
  // Throws ConfigError if there are no labels, or if one begins with the tokens of another: the shorter one
  // would always be likelier.
  LabelRanking(const TextRecipe& recipe, std::vector<std::string> labels);

  std::size_t labels() const { return labels_.size(); }
  // What asks a model for all of them.
  const CandidateWalk& walk() const { return walk_; }
  // The likeliest label of each row, the first one of equals. `likelihoods` [rows, labels()].
  std::vector<std::string> best(const std::vector<float>& likelihoods) const;

 private:
  std::vector<std::string> labels_;
  CandidateWalk walk_;
};

}  // namespace trimtab
