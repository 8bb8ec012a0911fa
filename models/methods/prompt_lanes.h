// SPDX-License-Identifier: Apache-2.0
//
// Prompts that were trained before, one a lane, in front of the input of one frozen model: rows of a
// micro-batch name the prompt that they go through. Nothing is trained. Made by whoever has read the prompts;
// no experiment names it.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "models/methods/tuning_method.h"

namespace trimtab {

struct LanePrompt {
  std::string name;    // for messages
  at::Tensor rows_pd;  // float32 [positions, d_model]; positions may differ from prompt to prompt
};

// Lane i is prompts[i]; there is at least one. attach() throws ConfigError that names a prompt of another
// width than the model's.
std::unique_ptr<TuningMethod> make_prompt_lanes(std::vector<LanePrompt> prompts);

}  // namespace trimtab
