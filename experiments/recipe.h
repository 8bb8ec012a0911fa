// SPDX-License-Identifier: Apache-2.0
//
// How the texts of an experiment become tokens: template, lengths and special tokens that model, vocabulary
// and method ask for together.
#pragma once

#include <memory>
#include <vector>

#include "data/example_cache.h"
#include "data/task.h"
#include "data/text_recipe.h"
#include "data/tokenizer.h"
#include "experiments/experiment_config.h"
#include "models/family.h"
#include "models/methods/tuning_method.h"

namespace trimtab {

// The vocabulary must outlive it. Shots are drawn from the task's training split. Throws ConfigError for what
// does not go together.
std::unique_ptr<TextRecipe> make_recipe(const ExperimentConfig& config, const BaseModel& model,
                                        const Tokenizer& tokenizer, const TuningMethod& method,
                                        const Task& task);

// Where the method's positions go in each input. A method that trains none leaves the places empty.
std::vector<PromptPlace> prompt_places(const TextRecipe& recipe, const TuningMethod& method);

// From the cache of the experiment, or into it.
TokenisedExamples tokenised(const ExperimentConfig& config, const TextRecipe& recipe, const Task& task,
                            const std::string& split, const std::vector<TextExample>& examples);

// The first row as the model reads it: pieces, and how many trained positions stand where.
std::string example_text(const ExampleStore& store, const Tokenizer& tokenizer, const TuningMethod& method,
                         const std::vector<PromptPlace>& places);

// Which of the training split's rows each input shows (text.shots).
std::vector<std::size_t> shown_rows(const ExperimentConfig& config, const Task& task,
                                    const std::vector<TextExample>& training);
// Takes them away from the training split: beside its own answer a row would teach to look it up. Throws
// ConfigError where none is left.
void leave_out_shown(std::vector<TextExample>& training, const ExperimentConfig& config, const Task& task);

// The first `rows`, of a mixture those of each task, since none may be left out unseen; 0: all.
void keep_first(std::vector<TextExample>& examples, std::int64_t rows);

// Throws ConfigError where rows of the greatest lengths are more than the model knows, or the method leaves
// no room for the input.
void check_lengths(const ExperimentConfig& config, const BaseModel& model, const TuningMethod& method);

}  // namespace trimtab
