// SPDX-License-Identifier: Apache-2.0
//
// A folder of files as a benchmark's server wants them, for splits whose targets are hidden.
#pragma once

#include <string>
#include <vector>

#include "experiments/evaluator.h"

namespace trimtab {

// Whether predictions for the evaluator's split could be written to the folder, which is made: asked before
// there are any. Throws ConfigError if no benchmark takes them, Error if the folder cannot be written.
void check_submission(const std::string& folder, const Evaluator& evaluator);

// Writes the files and returns a line for each: its path, rows, and predictions that were no legal label.
std::vector<std::string> write_submission(const std::string& folder, const Evaluator& evaluator,
                                          const std::vector<std::string>& predictions);

}  // namespace trimtab
