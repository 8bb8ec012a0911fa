// SPDX-License-Identifier: Apache-2.0
//
// Says once, in plain words, what would otherwise be found out hours later: that a run does not learn.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace trimtab {

class LearningWatch {
 public:
  // How far the trained values are from where they began, over their size; empty: nobody measures it.
  using MovedShare = std::function<double()>;

  LearningWatch(MovedShare moved_share, double usual_rate)
      : moved_share_(std::move(moved_share)), usual_rate_(usual_rate) {}

  // To be called after each step of this process, with the steps of the whole run so far and the step's loss
  // a token. A warning, or "". Asks for the moved share on all ranks after the same step.
  std::string after(std::int64_t steps, double loss);

 private:
  std::string movement(std::int64_t steps) const;
  std::string fall(std::int64_t steps) const;

  MovedShare moved_share_;
  double usual_rate_;
  std::vector<double> losses_;
};

}  // namespace trimtab
