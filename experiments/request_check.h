// SPDX-License-Identifier: Apache-2.0
//
// What can be known to be impossible from the headers of files alone, so that a run which cannot work leaves
// no folder behind.
#pragma once

#include "experiments/experiment_config.h"

namespace trimtab {

// Attaches the method to a model that has shapes and no weights. Throws ConfigError for a template without
// its fields, maps that the model does not have and an initial prompt of another shape, and what opening the
// model and the initial prompt throws. Writes nothing and is not collective.
void check_request(const ExperimentConfig& config);

}  // namespace trimtab
