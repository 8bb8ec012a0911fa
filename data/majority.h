// SPDX-License-Identifier: Apache-2.0
//
// What whoever always gives the most frequent answer scores: the floor that a trained model has to leave.
#pragma once

#include <optional>
#include <vector>

#include "data/task.h"

namespace trimtab {

// The task's main metric, in percent, when each example is answered with the label that most of the examples
// have (of equally frequent ones the first in class order). Nothing for tasks without labels. Throws Error as
// Task::score does.
std::optional<double> majority_score(const Task& task, const std::vector<TextExample>& examples);

}  // namespace trimtab
