// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/registry.h"

#include "data/tasks/glue.h"
#include "data/tasks/jsonl.h"
#include "data/tasks/superglue.h"
#include "data/tasks/wordnet.h"

namespace trimtab {
namespace {

template <class Options, std::unique_ptr<Task> (*make)(Options)>
constexpr TaskEntry entry() {
  return {[](Subtree& options) { return make(read<Options>(options)); },
          [] { return config_reference<Options>("task"); }};
}

}  // namespace

const Registry<TaskEntry>& task_registry() {
  static const Registry<TaskEntry> registry("task",
                                            {
                                                {"glue/sst2", entry<Sst2Options, make_sst2>()},
                                                {"jsonl", entry<JsonlOptions, make_jsonl>()},
                                                {"superglue/rte", entry<RteOptions, make_rte>()},
                                                {"wordnet/lexname", entry<LexnameOptions, make_lexname>()},
                                            });
  return registry;
}

std::unique_ptr<Task> make_task(Subtree& options) {
  return task_registry().find(options.name(), options.where()).make(options);
}

}  // namespace trimtab
