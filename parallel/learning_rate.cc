// SPDX-License-Identifier: Apache-2.0
#include "parallel/learning_rate.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "runtime/check.h"

namespace trimtab {
namespace {

double warmup(const OptimizerConfig& config, std::int64_t step) {
  if (step >= config.warmup_steps) return 1.0;
  return static_cast<double>(step) / static_cast<double>(config.warmup_steps);
}

double constant(const OptimizerConfig& config, std::int64_t step, std::int64_t) {
  return warmup(config, step);
}

double linear(const OptimizerConfig& config, std::int64_t step, std::int64_t total) {
  if (config.warmup_steps >= total)
    fail_config("optimizer.warmup_steps: {} leaves no step to a linear schedule of {} steps",
                config.warmup_steps, total);
  if (step < config.warmup_steps) return warmup(config, step);
  return static_cast<double>(std::max<std::int64_t>(0, total - step)) /
         static_cast<double>(total - config.warmup_steps);
}

double inverse_square_root(const OptimizerConfig& config, std::int64_t step, std::int64_t) {
  const std::int64_t counted = std::max({config.start_step + step, config.warmup_steps, std::int64_t{1}});
  return 1.0 / std::sqrt(static_cast<double>(counted));
}

struct Entry {
  const char* name;
  double (*factor)(const OptimizerConfig&, std::int64_t step, std::int64_t total);
};

constexpr Entry kSchedules[] = {
    {"constant", constant}, {"linear", linear}, {"inverse_square_root", inverse_square_root}};

}  // namespace

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kSchedules) names.emplace_back(entry.name);
  return names;
}

double learning_rate_at(const OptimizerConfig& config, std::int64_t step, std::int64_t total_steps) {
  TT_CHECK(step >= 0, "step {}", step);
  double rate = config.learning_rate;
  if (config.steps_per_decay > 0) {
    const std::int64_t decays = step / config.steps_per_decay;  // a staircase
    rate *= std::pow(config.decay_factor, static_cast<double>(decays));
  }
  for (const Entry& entry : kSchedules)
    if (config.schedule == entry.name) return rate * entry.factor(config, step, total_steps);
  fail_config("optimizer.schedule: '{}' is not known: use one of {}", config.schedule,
              fmt::join(schedule_names(), ", "));
}

}  // namespace trimtab
