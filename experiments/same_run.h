// SPDX-License-Identifier: Apache-2.0
//
// Whether a run that is there already is the one that is asked for: a trajectory must not change its learning
// rate, its data or its model half-way without anybody noticing.
#pragma once

#include <string>

namespace trimtab {

// Both are resolved configs as YAML. Keys that do not change what a step computes (evaluation, names,
// threads, mesh, logging, the length of a run unless its rate falls towards the end) may differ. Throws
// ConfigError that names `checkpoint`, and every key that differs, with both values.
void check_same_run(const std::string& stored, const std::string& wanted, const std::string& checkpoint);

// The same for the keys that say how the best checkpoint is found: for runs that have one and are to go on.
void check_same_scoring(const std::string& stored, const std::string& wanted, const std::string& checkpoint);

}  // namespace trimtab
