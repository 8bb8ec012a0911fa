// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/registry.h"

#include <algorithm>

#include "data/tasks/glue.h"
#include "data/tasks/jsonl.h"
#include "data/tasks/mixture.h"
#include "data/tasks/mrqa.h"
#include "data/tasks/squad.h"
#include "data/tasks/superglue.h"
#include "data/tasks/wordnet.h"

namespace trimtab {
namespace {

template <class Options, std::unique_ptr<Task> (*make)(Options)>
TaskEntry entry() {
  return {[](Subtree& options) { return make(read<Options>(options)); },
          [] { return config_reference<Options>("task"); }};
}

// A task that is a row of its suite's table.
std::pair<std::string, TaskEntry> entry(const ClassTask& task) {
  return {task.data.task,
          {[task](Subtree& options) { return make_class_task(task, read<ClassTaskOptions>(options)); },
           [] { return config_reference<ClassTaskOptions>("task"); }}};
}

std::vector<std::pair<std::string, TaskEntry>> entries() {
  std::vector<std::pair<std::string, TaskEntry>> all = {
      {"glue/stsb", entry<PublishedOptions, make_stsb>()},
      {"jsonl", entry<JsonlOptions, make_jsonl>()},
      {"mixture", entry<MixtureOptions, make_mixture>()},
      {"mrqa", entry<MrqaOptions, make_mrqa>()},
      {"squad/shifts", entry<ShiftsOptions, make_squad_shifts>()},
      {"squad/v1.1", entry<PublishedOptions, make_squad>()},
      {"superglue/multirc", entry<PublishedOptions, make_multirc>()},
      {"superglue/record", entry<PublishedOptions, make_record>()},
      {"superglue/wsc", entry<PublishedOptions, make_wsc>()},
      {"wordnet/lexname", entry<LexnameOptions, make_lexname>()},
  };
  for (const auto* suite : {&glue_tasks(), &superglue_tasks()})
    for (const ClassTask& task : *suite) all.push_back(entry(task));
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return all;
}

}  // namespace

const Registry<TaskEntry>& task_registry() {
  static const Registry<TaskEntry> registry("task", entries());
  return registry;
}

std::unique_ptr<Task> make_task(Subtree& options) {
  return task_registry().find(options.name(), options.where()).make(options);
}

}  // namespace trimtab
