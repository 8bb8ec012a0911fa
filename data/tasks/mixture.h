// SPDX-License-Identifier: Apache-2.0
//
// Several tasks as one: their examples side by side, each behind the name of its task, and as many rows of
// each in an epoch as the mixture's weights say. The multi-task baseline of Lester et al. 2021, section 3.1.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/task.h"
#include "runtime/config.h"

namespace trimtab {

struct MixedTask {
  Subtree task{};
  std::int64_t share = 0;  // rows in an epoch of the mixture; 0: all training rows, at most `cap`
};

template <class V>
void describe(V& v, MixedTask& s) {
  v.field("task", s.task, "A task, by `name`, and its options.", {.required = true});
  v.field("share", s.share, "Rows of it in an epoch of the mixture; 0: all its rows, at most `cap`.",
          {.min = 0, .unit = "rows"});
}

struct MixtureOptions {
  std::vector<MixedTask> tasks{};
  std::int64_t cap = 0;
  bool prefix = true;
};

template <class V>
void describe(V& v, MixtureOptions& s) {
  v.field("tasks", s.tasks, "The tasks.", {.required = true, .min_size = 1});
  v.field("cap", s.cap, "Most rows of one task in an epoch; 0: no limit.", {.min = 0, .unit = "rows"});
  v.field("prefix", s.prefix, "Put the task's name in front of its inputs.");
}

// mixture. A split holds the rows of the tasks that have it, task after task. Scores are those of each task,
// named "superglue/rte/accuracy", and the mean of their main ones, which for SuperGLUE is its score.
std::unique_ptr<Task> make_mixture(MixtureOptions options);

}  // namespace trimtab
