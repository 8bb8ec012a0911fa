// SPDX-License-Identifier: Apache-2.0
//
// The task of anybody's own JSON Lines files: which field is the input, which the target, and which labels
// are legal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/task.h"

namespace trimtab {

struct JsonlOptions {
  std::string train{};       // file; "" if there is no such split
  std::string validation{};  // the same
  std::string test{};        // the same
  std::string input = "input";
  std::string target = "target";  // a string, number, true/false, or a list whose first member is the target
  std::string id{};               // field; "" numbers the rows
  std::string group{};            // field of the rows that are scored together; "" for none
  std::vector<std::string> labels{};  // legal targets in class order; empty for free text
  std::int64_t max_rows = 0;          // of each split the first rows; 0 for all
};

std::unique_ptr<Task> make_jsonl(JsonlOptions options);

}  // namespace trimtab
