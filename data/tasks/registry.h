// SPDX-License-Identifier: Apache-2.0
//
// All tasks by name. A new one is a row in the table of its suite ("superglue/rte" in superglue.cc), or a
// file
// ("superglue/wsc" in superglue_wsc.cc) and a line in registry.cc.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "data/task.h"
#include "runtime/config.h"
#include "runtime/registry.h"

namespace trimtab {

struct TaskEntry {
  std::function<std::unique_ptr<Task>(Subtree& options)> make;  // reads the options strictly
  std::function<std::string()> reference;                       // Markdown table of the options
};

const Registry<TaskEntry>& task_registry();

// The task that `options` names, with its options. Throws ConfigError "run.yaml:4: task.name: ..." for an
// unknown name (with the known ones) or for options that it does not know.
std::unique_ptr<Task> make_task(Subtree& options);

}  // namespace trimtab
