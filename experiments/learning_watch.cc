// SPDX-License-Identifier: Apache-2.0
#include "experiments/learning_watch.h"

#include <fmt/format.h>

#include <numeric>

namespace trimtab {
namespace {

// A prompt that works moves by more than its own size within some hundred steps.
constexpr std::int64_t kMovesWithin = 100;
constexpr double kHasMoved = 1e-3;
constexpr std::int64_t kFallsWithin = 500;
constexpr std::int64_t kWindow = 100;  // steps that losses are averaged over

double mean(std::vector<double>::const_iterator first) {
  return std::accumulate(first, first + kWindow, 0.0) / static_cast<double>(kWindow);
}

}  // namespace

std::string LearningWatch::movement(std::int64_t steps) const {
  if (!moved_share_ || steps != kMovesWithin) return "";
  const double moved = moved_share_();
  if (moved >= kHasMoved) return "";
  return fmt::format(
      "warning: after {} steps the trained values have moved by {:.2g} of their size: the learning rate is "
      "far "
      "too low ({} with adafactor is usual for this method)",
      steps, moved, usual_rate_);
}

// Of a run that this process made from its beginning.
std::string LearningWatch::fall(std::int64_t steps) const {
  if (steps != kFallsWithin || static_cast<std::int64_t>(losses_.size()) != kFallsWithin) return "";
  const double before = mean(losses_.begin()), now = mean(losses_.end() - kWindow);
  if (now < before) return "";
  return fmt::format("warning: the loss is not falling: {:.4f} in the first {} steps, {:.4f} now", before,
                     kWindow, now);
}

std::string LearningWatch::after(std::int64_t steps, double loss) {
  losses_.push_back(loss);
  const std::string moved = movement(steps);
  return moved.empty() ? fall(steps) : moved;
}

}  // namespace trimtab
