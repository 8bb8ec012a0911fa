// SPDX-License-Identifier: Apache-2.0
#include "parallel/optimizer_memory.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "runtime/check.h"

namespace trimtab {

std::int64_t optimizer_bytes(const OptimizerConfig& config, const std::vector<std::int64_t>& share,
                             const std::vector<std::int64_t>& whole, bool master) {
  const std::int64_t count =
      std::accumulate(share.begin(), share.end(), std::int64_t{1}, std::multiplies<>());
  std::int64_t numbers = 0;
  if (config.name == "adafactor") {
    const bool factored = whole.size() == 2 && std::min(whole[0], whole[1]) >= config.min_dim_size_to_factor;
    numbers = factored ? share[0] + share[1] : count;
  } else if (config.name == "adamw") {
    numbers = 2 * count;
  } else if (config.name == "sgd") {
    numbers = config.momentum == 0.0 ? 0 : count;
  } else {
    fail_config("optimizer.name: '{}' is not known", config.name);
  }
  return (numbers + (master ? count : 0)) * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace trimtab
