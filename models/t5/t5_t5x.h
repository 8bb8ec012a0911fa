// SPDX-License-Identifier: Apache-2.0
//
// A T5 of a T5X checkpoint: what its parameters are called there, and the config, which only their shapes
// tell. Matrices are [in, out] there and [out, in] here.
#pragma once

#include <memory>
#include <string>

#include "models/formats/t5x_checkpoint.h"
#include "models/t5/t5_config.h"
#include "runtime/tensor_source.h"

namespace trimtab {

// The parameter that holds a weight of t5_weights(), and whether its two dims are swapped.
struct T5xName {
  std::string name;
  bool swapped = false;
};
T5xName t5x_name(const std::string& weight);

// Throws ConfigError for layouts that are not read (layers stacked for jax.lax.scan) and numbers that make no
// sense. The largest relative distance is not in a checkpoint: 128, as in all published ones.
T5Config t5_config_of(const T5xCheckpoint& checkpoint);

// The weights of t5_weights(config). The one that was read last stays in memory.
std::unique_ptr<TensorSource> t5x_weights(std::unique_ptr<T5xCheckpoint> checkpoint, const T5Config& config);

}  // namespace trimtab
