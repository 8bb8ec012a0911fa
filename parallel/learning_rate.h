// SPDX-License-Identifier: Apache-2.0
//
// The learning rate as a pure function of the step, so that a resumed run needs no state for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parallel/optimizer.h"

namespace trimtab {

// "constant", "linear", "inverse_square_root".
std::vector<std::string> schedule_names();

// The rate of the step with this index, counted from 0, of a run of `total_steps`.
//   constant              rate
//   linear                rate x (total - step) / (total - warmup): 0 at total and after it
//   inverse_square_root   rate / sqrt(max(start_step + step, warmup, 1)): flat, not rising, during warm-up
//   (T5)
// The first two are multiplied by min(1, step / warmup) during warm-up (T5X's linear_warmup: the first step
// has rate 0), and every schedule by decay_factor^floor(step / steps_per_decay) (T5X's decay_every). Throws
// ConfigError for an unknown schedule, and for a linear one whose warm-up is not shorter than the run.
double learning_rate_at(const OptimizerConfig& config, std::int64_t step, std::int64_t total_steps);

}  // namespace trimtab
