// SPDX-License-Identifier: Apache-2.0
//
// Linear maps chosen by name, as PEFT chooses them: a target is a module's whole name or the last parts of
// it, "q" or "SelfAttention.q".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/model.h"

namespace trimtab {

bool is_target(std::string_view module, const std::vector<std::string>& targets);

// Those of `candidates` that some map of the model answers to.
std::vector<std::string> targets_in(const ModelStage& stage, const std::vector<std::string>& candidates);

// Throws ConfigError for a target that no map of the model answers to; `key` is where it was written.
void check_targets(const ModelStage& stage, const std::vector<std::string>& targets, std::string_view key);

}  // namespace trimtab
