// SPDX-License-Identifier: Apache-2.0
//
// SuperGLUE tasks, read from the official JSONL folders, in the text formats of the T5 code without the
// leading task name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/task.h"

namespace trimtab {

struct RteOptions {
  std::string path{};         // folder with train.jsonl, val.jsonl and, for predictions, test.jsonl
  std::int64_t max_rows = 0;  // of each split the first rows; 0 for all
};

template <class V>
void describe(V& v, RteOptions& s) {
  v.field("path", s.path, "Folder with train.jsonl, val.jsonl and, for predictions, test.jsonl.",
          {.required = true});
  v.field("max_rows", s.max_rows, "Of each split the first rows are used; 0: all.",
          {.min = 0, .unit = "rows"});
}

// superglue/rte: does the premise entail the hypothesis?
std::unique_ptr<Task> make_rte(RteOptions options);

}  // namespace trimtab
