// SPDX-License-Identifier: Apache-2.0
#include "experiments/label_ranking.h"

#include <algorithm>
#include <span>
#include <utility>

#include "runtime/check.h"

namespace trimtab {

namespace {

// Of each label, without the end of sequence.
std::vector<std::vector<TokenId>> tokens_of(const std::vector<std::string>& labels,
                                            const TextRecipe& recipe) {
  if (labels.empty())
    fail_config("evaluate.answers: rank, but the task has no labels to choose from; set it to generate");
  std::vector<std::vector<TokenId>> all = recipe.encode_labels(labels);
  for (std::vector<TokenId>& ids : all) ids.pop_back();
  for (std::size_t a = 0; a < all.size(); ++a)
    for (std::size_t b = 0; b < all.size(); ++b)
      if (a != b && all[a].size() <= all[b].size() &&
          std::ranges::equal(all[a], std::span(all[b]).first(all[a].size())))
        fail_config(
            "evaluate.answers: rank, but the label '{}' begins with '{}', which is always as likely; set it "
            "to generate",
            labels[b], labels[a]);
  return all;
}

}  // namespace

LabelRanking::LabelRanking(const TextRecipe& recipe, std::vector<std::string> labels)
    : labels_(std::move(labels)), walk_(tokens_of(labels_, recipe)) {}

std::vector<std::string> LabelRanking::best(const std::vector<float>& likelihoods) const {
  TT_CHECK(likelihoods.size() % labels_.size() == 0, "{} likelihoods of {} labels", likelihoods.size(),
           labels_.size());
  std::vector<std::string> out;
  const auto count = static_cast<std::ptrdiff_t>(labels_.size());
  for (auto first = likelihoods.begin(); first != likelihoods.end(); first += count)
    out.push_back(labels_[static_cast<std::size_t>(std::max_element(first, first + count) - first)]);
  return out;
}

}  // namespace trimtab
