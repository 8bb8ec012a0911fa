// SPDX-License-Identifier: Apache-2.0
//
// What a run trained and on which base, as its checkpoint has it: for whoever carries it elsewhere.
#pragma once

#include <memory>
#include <string>

#include "experiments/checkpoint.h"
#include "models/family.h"
#include "models/formats/peft_methods.h"

namespace trimtab {

// The results of a run with the options of its method that they depend on. Throws ConfigError for a prompt
// that is not in front of everything, Error for a checkpoint whose experiment lacks an option.
TrainedAdapter trained_adapter(const Checkpoint& checkpoint);

// The model at `named`, or where the checkpoint says that its base was. Throws ConfigError when nothing is
// there.
std::unique_ptr<BaseModel> open_base_of(const Checkpoint& checkpoint, const std::string& named);

}  // namespace trimtab
