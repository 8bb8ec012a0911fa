// SPDX-License-Identifier: Apache-2.0
//
// Tokenised splits as HDF5 files in a cache folder (docs/formats.md), each under the hash of its texts, the
// vocabulary and the recipe, so that a stale one is never used. Whoever needs one first tokenises it; others,
// ranks and other jobs alike, wait for that and map the same file.
#pragma once

#include <string>
#include <vector>

#include "data/example_store.h"
#include "data/task.h"
#include "data/text_recipe.h"

namespace trimtab {

struct TokenisedExamples {
  ExampleStore store;  // mapped
  RecipeCounts counts;
};

// The examples tokenised, from `folder`/<name>-<hash>.h5 if that is there and whole; one that is damaged is
// made again, with a warning. Uses all cores; says how far it is when it takes longer than some seconds.
// Throws ConfigError if the folder cannot be written, Error if there are no examples.
TokenisedExamples tokenise(const std::string& folder, const std::string& name, const TextRecipe& recipe,
                           const std::vector<TextExample>& examples);

}  // namespace trimtab
