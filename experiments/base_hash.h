// SPDX-License-Identifier: Apache-2.0
//
// One SHA-256 over all base weights of a stage, by name: the same for the same model, whatever file it came
// from, and the proof that a frozen model is the same after a run as before.
#pragma once

#include <string>

#include "models/model.h"

namespace trimtab {

// 64 hexadecimal digits over name, element type, shape and bytes of each weight, sorted by name.
std::string base_hash(const ModelStage& stage);

// The first digits, for messages.
std::string short_hash(const std::string& hash);

}  // namespace trimtab
