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

template <class V>
void describe(V& v, JsonlOptions& s) {
  v.field("train", s.train, "File of the training split.");
  v.field("validation", s.validation, "File of the validation split.");
  v.field("test", s.test, "File of the test split; its rows may lack the target.");
  v.field("input", s.input, "Field that holds the input text.", {.min_size = 1});
  v.field("target", s.target,
          "Field that holds the target: a value, or a list of right answers, the first one trained.",
          {.min_size = 1});
  v.field("id", s.id, "Field that names a row; empty: rows are numbered.");
  v.field("group", s.group, "Field that rows have in common which are scored together; empty: none.");
  v.field("labels", s.labels, "Legal targets in class order; empty: free text.");
  v.field("max_rows", s.max_rows, "Of each split the first rows are used; 0: all.",
          {.min = 0, .unit = "rows"});
}

std::unique_ptr<Task> make_jsonl(JsonlOptions options);

}  // namespace trimtab
