// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace trimtab {

// Neighbouring examples that are sampled together: the training rows of one task. An epoch takes `share` of
// them: all when it equals `examples`, otherwise it goes on in the next epoch where it stopped.
struct SampledPart {
  std::size_t examples = 0;
  std::size_t share = 0;
  bool operator==(const SampledPart&) const = default;
};

}  // namespace trimtab
