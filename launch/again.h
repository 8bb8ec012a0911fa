// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace trimtab {

// launch/slurm/again.sh but for its head, as it was when the build was configured.
extern const std::string_view kAgain;

}  // namespace trimtab
