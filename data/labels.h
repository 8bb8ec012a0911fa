// SPDX-License-Identifier: Apache-2.0
//
// What tasks and their users share about labels: the check of a label, and the target of a row without one.
#pragma once

#include <string>
#include <vector>

#include "data/task.h"

namespace trimtab {

// The target of a row without label, as T5 writes it (class -1).
inline constexpr const char* kNoLabel = "<unk>";

// How a message about an unknown name ends: "; did you mean 'x'? known: x, y" or "; known: x, y".
std::string known_names(const std::string& name, const std::vector<std::string>& known);

// The label itself. Throws Error "place: unknown label ..." that lists the known ones unless it is one of
// them.
const std::string& check_label(const std::string& label, const std::vector<std::string>& labels,
                               const std::string& place);

// Whether the row can be scored.
bool is_labelled(const TextExample& example);

// The labels that are no example's target.
std::vector<std::string> labels_without_example(const std::vector<std::string>& labels,
                                                const std::vector<TextExample>& examples);

// Throws ConfigError unless 0 <= max_rows; 0 stands for all rows.
void check_max_rows(const std::string& task, long long max_rows);

}  // namespace trimtab
