// SPDX-License-Identifier: Apache-2.0
#include "experiments/ensemble.h"

#include <algorithm>

#include "runtime/check.h"

namespace trimtab {
namespace {

// How many members give the answer of member `of` to the example.
std::size_t votes(const std::vector<Evaluation>& members, std::size_t example, std::size_t of) {
  return static_cast<std::size_t>(std::ranges::count_if(members, [&](const Evaluation& member) {
    return member.predictions[example] == members[of].predictions[example];
  }));
}

SplitScores mean_of(const std::vector<Evaluation>& members) {
  SplitScores mean = members.front().scores;
  const auto count = static_cast<double>(members.size());
  for (std::size_t i = 0; i < mean.metrics.size(); ++i) {
    double sum = 0;
    for (const Evaluation& member : members) sum += member.scores.metrics.at(i).second;
    mean.metrics[i].second = sum / count;
  }
  return mean;
}

std::size_t best_of(const std::vector<Evaluation>& members) {
  const auto score = [](const Evaluation& one) { return one.scores.main_value(); };
  return static_cast<std::size_t>(std::ranges::max_element(members, {}, score) - members.begin());
}

}  // namespace

std::vector<std::string> majority_vote(const std::vector<Evaluation>& members) {
  TT_CHECK(!members.empty(), "a vote without voters");
  std::vector<std::string> out;
  for (std::size_t example = 0; example < members.front().predictions.size(); ++example) {
    std::size_t chosen = 0, most = 0;
    for (std::size_t member = 0; member < members.size(); ++member)
      if (const std::size_t count = votes(members, example, member); count > most) {
        chosen = member;
        most = count;
      }
    out.push_back(members[chosen].predictions[example]);
  }
  return out;
}

EnsembleScores score_ensemble(const Evaluator& evaluator, const std::vector<Evaluation>& members) {
  EnsembleScores out;
  out.predictions = majority_vote(members);
  out.ensemble = evaluator.scores(out.predictions);
  out.average = mean_of(members);
  if (evaluator.has_targets()) out.best = best_of(members);
  std::size_t agreed = 0;
  for (std::size_t example = 0; example < out.predictions.size(); ++example)
    agreed += votes(members, example, 0) == members.size() ? 1 : 0;
  out.agreement = 100.0 * static_cast<double>(agreed) / static_cast<double>(out.predictions.size());
  return out;
}

}  // namespace trimtab
