// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "experiments/experiment_config.h"
#include "models/family.h"

namespace trimtab {

// Throws ConfigError if the model has too few layers for the stages of the mesh, or too few heads for its
// tensor ranks. Reads no weights.
void check_mesh_fits(const MeshConfig& mesh, const BaseModel& model);

}  // namespace trimtab
