// SPDX-License-Identifier: Apache-2.0
//
// Which of a task's labels a model finds likeliest, as an alternative to what it generates: a model that was
// not tuned rarely says a label, but prefers one. Each input is read once with each label; a label's
// likelihood is that of its tokens, without the end of sequence.
#pragma once

#include <string>
#include <vector>

#include "data/text_recipe.h"
#include "parallel/micro_batch.h"

namespace trimtab {

class LabelRanking {
 public:
  // The recipe must outlive this. Throws ConfigError if there are no labels, or if one begins with the tokens
  // of another: the shorter one would always be likelier.
  LabelRanking(const TextRecipe& recipe, std::vector<std::string> labels);

  std::size_t labels() const { return labels_.size(); }
  // A row for each example and label, labels of an example behind each other. Throws Error if there is none.
  ExampleStore rows(const std::vector<TextExample>& examples, RecipeCounts& counts) const;
  // The likeliest label of each example, the first one of equals. `likelihoods` of all rows, in their order.
  std::vector<std::string> best(const std::vector<float>& likelihoods) const;

 private:
  const TextRecipe& recipe_;
  std::vector<std::string> labels_;
  std::vector<std::vector<TokenId>> ids_;
};

// The sum over each row's target tokens.
std::vector<float> row_sums(const std::vector<float>& tokens, const RowLayout& targets);

}  // namespace trimtab
