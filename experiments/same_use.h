// SPDX-License-Identifier: Apache-2.0
//
// What an experiment must have in common with the one that trained a checkpoint for its result to be used,
// and what neither names nor shapes of tensors show. The experiment in the checkpoint is asked.
#pragma once

#include "experiments/checkpoint.h"
#include "experiments/experiment_config.h"

namespace trimtab {

// Throws ConfigError for a prompt that was trained at other places than text.template and text.prompt_place
// give it; names the file, both templates and the remedy.
void check_places(const Checkpoint& checkpoint, const TextConfig& text);

// The same for any method, and for options that change what is computed, such as LoRA's alpha.
void check_same_use(const Checkpoint& checkpoint, const ExperimentConfig& config);

// Throws ConfigError unless the prompt was trained in front of everything, as `reader` puts it.
void check_in_front(const Checkpoint& checkpoint, const std::string& reader);

}  // namespace trimtab
