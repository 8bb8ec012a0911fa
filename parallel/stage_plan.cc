// SPDX-License-Identifier: Apache-2.0
#include "parallel/stage_plan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "runtime/check.h"

namespace trimtab {
namespace {

// The cut of n units into `stages` that minimises the fold of `cost(begin, end)` over the stages, by dynamic
// programming over (stages so far, units so far). Ties go to the earlier cut. Infinite costs are never chosen
// while there is another way.
std::vector<int> best_cut(int n, int stages, const std::function<double(int, int)>& cost,
                          const std::function<double(double, double)>& fold) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  const auto width = static_cast<std::size_t>(n) + 1;
  std::vector<std::vector<double>> best(static_cast<std::size_t>(stages) + 1,
                                        std::vector<double>(width, kNever));
  std::vector<std::vector<int>> from(static_cast<std::size_t>(stages) + 1, std::vector<int>(width, 0));
  best[0][0] = 0.0;
  for (int s = 1; s <= stages; ++s)
    for (int end = s; end <= n; ++end)
      for (int begin = s - 1; begin < end; ++begin) {
        const auto stage = static_cast<std::size_t>(s);
        const double value = fold(best[stage - 1][static_cast<std::size_t>(begin)], cost(begin, end));
        if (value >= best[stage][static_cast<std::size_t>(end)]) continue;
        best[stage][static_cast<std::size_t>(end)] = value;
        from[stage][static_cast<std::size_t>(end)] = begin;
      }
  std::vector<int> sizes(static_cast<std::size_t>(stages));
  for (int s = stages, end = n; s > 0; --s) {
    const int begin = from[static_cast<std::size_t>(s)][static_cast<std::size_t>(end)];
    sizes[static_cast<std::size_t>(s) - 1] = end - begin;
    end = begin;
  }
  return sizes;
}

}  // namespace

StagePlan::StagePlan(std::vector<CostUnit> units, const std::vector<int>& sizes) : units_(std::move(units)) {
  begin_.push_back(0);
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    if (sizes[s] < 1) fail_config("stage {} has {} layers: give every stage at least one", s, sizes[s]);
    begin_.push_back(begin_.back() + sizes[s]);
  }
  if (sizes.empty() || begin_.back() != static_cast<int>(units_.size()))
    fail_config("stages of {} layers hold {} of {} layers: the numbers must add up to the model",
                fmt::join(sizes, ", "), begin_.back(), units_.size());
}

double StagePlan::cost(int stage) const {
  double sum = 0.0;
  for (int i = begin(stage); i < end(stage); ++i) sum += units_[static_cast<std::size_t>(i)].cost;
  return sum;
}

double StagePlan::imbalance() const {
  double sum = 0.0, most = 0.0;
  for (int s = 0; s < stages(); ++s) {
    sum += cost(s);
    most = std::max(most, cost(s));
  }
  return sum > 0.0 ? most * stages() / sum : 1.0;
}

std::string StagePlan::text() const {
  double sum = 0.0;
  for (const CostUnit& unit : units_) sum += unit.cost;
  std::vector<std::string> spans;
  std::size_t widest = 0;
  for (int s = 0; s < stages(); ++s) {
    const std::string& first = units_[static_cast<std::size_t>(begin(s))].name;
    const std::string& last = units_[static_cast<std::size_t>(end(s)) - 1].name;
    spans.push_back(end(s) - begin(s) == 1 ? first : fmt::format("{} to {}", first, last));
    widest = std::max(widest, spans.back().size());
  }
  std::string out;
  for (int s = 0; s < stages(); ++s) {
    const int units = end(s) - begin(s);
    out += fmt::format("stage {}: {:<{}}  {:>2} layer{} {:>7.3g} Gop a row  {:>5.1f} %\n", s,
                       spans[static_cast<std::size_t>(s)], widest, units, units == 1 ? " " : "s",
                       cost(s) / 1e9, sum > 0.0 ? 100.0 * cost(s) / sum : 0.0);
  }
  return out + fmt::format("dearest stage: {:.2f} of the mean\n", imbalance());
}

StagePlan balanced_plan(std::vector<CostUnit> units, int stages) {
  const int n = static_cast<int>(units.size());
  if (stages < 1) fail_config("mesh.pipe: {} stages make no sense; 1 is no pipeline", stages);
  if (stages > n)
    fail_config(
        "mesh.pipe: {} stages for a model of {} layers; a stage holds at least one layer: set mesh.pipe to "
        "at "
        "most {}, and use mesh.tensor or mesh.data for the other ranks",
        stages, n, n);
  std::vector<double> before = {0.0};
  for (const CostUnit& unit : units) {
    if (!std::isfinite(unit.cost) || unit.cost < 0.0)
      fail_config("the cost of {} is {}", unit.name, unit.cost);
    before.push_back(before.back() + unit.cost);
  }
  const auto span = [&](int begin, int end) {
    return before[static_cast<std::size_t>(end)] - before[static_cast<std::size_t>(begin)];
  };
  const auto larger = [](double a, double b) { return std::max(a, b); };
  const double bound = [&] {
    double most = 0.0;
    int at = 0;
    for (const int size : best_cut(n, stages, span, larger)) {
      most = std::max(most, span(at, at + size));
      at += size;
    }
    return most;
  }();
  const auto square_within_bound = [&](int begin, int end) {
    const double cost = span(begin, end);
    return cost > bound ? std::numeric_limits<double>::infinity() : cost * cost;
  };
  const std::vector<int> sizes = best_cut(n, stages, square_within_bound, std::plus<>());
  return StagePlan(std::move(units), sizes);
}

}  // namespace trimtab
