// SPDX-License-Identifier: Apache-2.0
//
// Two SHA-256 of a base model. That of its weights as they are stored says which model a run belongs to,
// whatever the file format, the mesh and the type it computes in. That of a stage in memory proves that a
// frozen model is the same after a run as before.
#pragma once

#include <string>

#include "models/model.h"
#include "runtime/communicator.h"
#include "runtime/tensor_source.h"

namespace trimtab {

// 64 hexadecimal digits over name, shape and float32 values of each weight, sorted by name. Reads a slab at a
// time.
std::string weights_hash(const TensorSource& weights);

// 64 hexadecimal digits over name, element type, shape and bytes of each weight that this stage holds, sorted
// by name.
std::string base_hash(const ModelStage& stage);
// Over those of all ranks, in their order; that of the stage if there is one rank. Collective over `all`.
std::string base_hash(const ModelStage& stage, Communicator& all);

// The first digits, for messages.
std::string short_hash(const std::string& hash);

}  // namespace trimtab
