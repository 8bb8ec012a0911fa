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

// superglue/rte: does the premise entail the hypothesis?
std::unique_ptr<Task> make_rte(RteOptions options);

}  // namespace trimtab
