// SPDX-License-Identifier: Apache-2.0
#include "experiments/label_ranking.h"

#include <algorithm>
#include <utility>

#include "runtime/check.h"

namespace trimtab {

LabelRanking::LabelRanking(const TextRecipe& recipe, std::vector<std::string> labels)
    : recipe_(recipe), labels_(std::move(labels)), ids_(recipe.encode_labels(labels_)) {
  if (labels_.empty())
    fail_config("evaluate.answers: rank, but the task has no labels to choose from; set it to generate");
  for (std::vector<TokenId>& ids : ids_) ids.pop_back();  // end of sequence
  for (std::size_t a = 0; a < ids_.size(); ++a)
    for (std::size_t b = 0; b < ids_.size(); ++b)
      if (a != b && ids_[a].size() <= ids_[b].size() &&
          std::ranges::equal(ids_[a], std::span(ids_[b]).first(ids_[a].size())))
        fail_config(
            "evaluate.answers: rank, but the label '{}' begins with '{}', which is always as likely; set it "
            "to "
            "generate",
            labels_[b], labels_[a]);
}

ExampleStore LabelRanking::rows(const std::vector<TextExample>& examples, RecipeCounts& counts) const {
  if (examples.empty()) fail("the data set is empty: there is no example to rank labels for");
  ExampleStore store;
  for (const TextExample& example : examples) {
    const std::vector<TokenId> input = recipe_.encode_input(example.input, counts);
    ++counts.examples;
    for (const std::vector<TokenId>& label : ids_) {
      store.inputs.append(input);
      store.targets.append(label);
    }
  }
  return store;
}

std::vector<std::string> LabelRanking::best(const std::vector<float>& likelihoods) const {
  TT_CHECK(likelihoods.size() % labels_.size() == 0, "{} likelihoods of {} labels", likelihoods.size(),
           labels_.size());
  std::vector<std::string> out;
  const auto count = static_cast<std::ptrdiff_t>(labels_.size());
  for (auto first = likelihoods.begin(); first != likelihoods.end(); first += count)
    out.push_back(labels_[static_cast<std::size_t>(std::max_element(first, first + count) - first)]);
  return out;
}

std::vector<float> row_sums(const std::vector<float>& tokens, const RowLayout& targets) {
  TT_CHECK(static_cast<std::int64_t>(tokens.size()) == targets.tokens(), "{} numbers for {} tokens",
           tokens.size(), targets.tokens());
  std::vector<float> sums;
  for (std::int64_t row = 0; row < targets.rows(); ++row) {
    double sum = 0.0;
    for (std::int64_t t = targets.begin(row); t < targets.begin(row + 1); ++t)
      sum += static_cast<double>(tokens[static_cast<std::size_t>(t)]);
    sums.push_back(static_cast<float>(sum));
  }
  return sums;
}

}  // namespace trimtab
