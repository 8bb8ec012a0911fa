// SPDX-License-Identifier: Apache-2.0
//
// Whether the rows of a step can be shared out on the experiment's mesh.
#pragma once

#include "experiments/experiment_config.h"

namespace trimtab {

// Throws ConfigError unless the job has the mesh's ranks and every replica gets as many rows.
void check_mesh(const ExperimentConfig& config, int world_size);

}  // namespace trimtab
