// SPDX-License-Identifier: Apache-2.0
//
// What can be known to be impossible from the headers of files alone, so that a run which cannot work leaves
// no folder behind.
#pragma once

#include "experiments/experiment_config.h"
#include "models/family.h"

namespace trimtab {

// Throws ConfigError for a template without its fields or with places for another number of positions, and
// what check_method, opening the model and the initial prompt throw. Writes nothing and is not collective.
void check_request(const ExperimentConfig& config);

// Attaches the method to a model that has shapes and no weights (models/shapes_only.h). Throws ConfigError
// for options out of bounds, maps that the model does not have and an initial prompt of another shape.
void check_method(Subtree options, const BaseModel& model);

}  // namespace trimtab
