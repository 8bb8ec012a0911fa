// SPDX-License-Identifier: Apache-2.0
//
// Solved examples that are shown in front of an input (few-shot prompting, Brown et al. 2020).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/task.h"

namespace trimtab {

// The rows of `examples` that drawn_shots shows, in its order.
std::vector<std::size_t> rows_of_shots(const std::vector<TextExample>& examples,
                                       const std::vector<std::string>& labels, std::int64_t count,
                                       std::uint64_t seed);

// `count` labelled examples without repetition, the same for the same seed: of each label as many as of any
// other, as far as that goes, in mixed order. Throws ConfigError if there are fewer.
std::vector<TextExample> drawn_shots(const std::vector<TextExample>& examples,
                                     const std::vector<std::string>& labels, std::int64_t count,
                                     std::uint64_t seed);

// `shot` for each example with its texts in place of "{input}" and "{target}", one after the other. Throws
// ConfigError for a `shot` without both.
std::string text_of_shots(const std::vector<TextExample>& examples, const std::string& shot);

}  // namespace trimtab
