// SPDX-License-Identifier: Apache-2.0
//
// How likely several continuations (candidates) of a row are, found with one decoder: their tokens form a
// tree that is walked depth first. What candidates begin with is read once for all of them, and where
// branches part the caches go back.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trimtab {

// One token that every row reads, and which tokens are then asked for.
struct CandidateStep {
  std::int64_t rewind = 0;          // tokens that the caches forget before
  std::int64_t token = kFirst;      // kFirst: what decoding begins with
  std::vector<std::int64_t> asked;  // tokens that may follow

  static constexpr std::int64_t kFirst = -1;
  bool operator==(const CandidateStep&) const = default;
};

class CandidateWalk {
 public:
  // Token ids of each candidate. One that another begins with has a likelihood, too, but is never less
  // likely.
  explicit CandidateWalk(const std::vector<std::vector<std::int32_t>>& candidates);

  const std::vector<CandidateStep>& steps() const { return steps_; }
  std::int64_t depth() const { return depth_; }  // tokens of the longest candidate: what a cache must hold
  // Tokens that all steps ask for; answers of a row stand behind each other in that order.
  std::int64_t asked() const { return asked_; }
  std::int64_t candidates() const { return static_cast<std::int64_t>(paths_.size()); }
  // Log-likelihoods of the candidates: for each the sum of its tokens'. answers [asked()] -> [candidates()].
  std::vector<float> sums(std::span<const float> answers) const;

 private:
  using Tokens = std::vector<std::int32_t>;
  // `members`: those that begin with the same `depth` tokens, of which the last is `token`.
  void visit(const std::vector<Tokens>& candidates, const std::vector<std::size_t>& members,
             std::int64_t depth, std::int64_t token);

  std::vector<CandidateStep> steps_;
  std::vector<std::vector<std::size_t>> paths_;  // of each candidate its tokens' places among the answers
  std::int64_t depth_ = 0, asked_ = 0;
  std::int64_t read_ = 0;  // tokens in the caches, while the tree is walked
};

}  // namespace trimtab
