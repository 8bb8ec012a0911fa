// SPDX-License-Identifier: Apache-2.0
#include "parallel/candidate_walk.h"

#include <algorithm>
#include <numeric>

#include "runtime/check.h"

namespace trimtab {

CandidateWalk::CandidateWalk(const std::vector<Tokens>& candidates) : paths_(candidates.size()) {
  std::vector<std::size_t> all(candidates.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  visit(candidates, all, 0, CandidateStep::kFirst);
  TT_CHECK(asked_ > 0, "{} candidates without a token", candidates.size());
}

void CandidateWalk::visit(const std::vector<Tokens>& candidates, const std::vector<std::size_t>& members,
                          std::int64_t depth, std::int64_t token) {
  CandidateStep step{read_ - depth, token, {}};
  std::vector<std::vector<std::size_t>> branches;  // of each token that is asked for
  for (const std::size_t member : members) {
    const Tokens& tokens = candidates[member];
    if (static_cast<std::int64_t>(tokens.size()) == depth) continue;
    const std::int64_t next = tokens[static_cast<std::size_t>(depth)];
    const auto at = static_cast<std::size_t>(std::ranges::find(step.asked, next) - step.asked.begin());
    if (at == step.asked.size()) {
      step.asked.push_back(next);
      branches.emplace_back();
    }
    branches[at].push_back(member);
    paths_[member].push_back(static_cast<std::size_t>(asked_) + at);
  }
  if (step.asked.empty()) return;
  read_ = ++depth;
  depth_ = std::max(depth_, depth);
  asked_ += static_cast<std::int64_t>(step.asked.size());
  const std::vector<std::int64_t> asked = step.asked;
  steps_.push_back(std::move(step));
  for (std::size_t i = 0; i < asked.size(); ++i) visit(candidates, branches[i], depth, asked[i]);
}

std::vector<float> CandidateWalk::sums(std::span<const float> answers) const {
  TT_CHECK(static_cast<std::int64_t>(answers.size()) == asked_, "{} answers to {} tokens", answers.size(),
           asked_);
  std::vector<float> out;
  for (const std::vector<std::size_t>& path : paths_) {
    double sum = 0.0;
    for (const std::size_t at : path) sum += static_cast<double>(answers[at]);
    out.push_back(static_cast<float>(sum));
  }
  return out;
}

}  // namespace trimtab
