// SPDX-License-Identifier: Apache-2.0
//
// GLUE tasks, read from the official TSV folders, in the text formats of the T5 code without the leading task
// name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/task.h"

namespace trimtab {

struct Sst2Options {
  std::string path{};         // folder with train.tsv, dev.tsv and, for predictions, test.tsv
  std::int64_t max_rows = 0;  // of each split the first rows; 0 for all
};

template <class V>
void describe(V& v, Sst2Options& s) {
  v.field("path", s.path, "Folder with train.tsv, dev.tsv and, for predictions, test.tsv.",
          {.required = true});
  v.field("max_rows", s.max_rows, "Of each split the first rows are used; 0: all.",
          {.min = 0, .unit = "rows"});
}

// glue/sst2: is the sentence of a film review positive?
std::unique_ptr<Task> make_sst2(Sst2Options options);

}  // namespace trimtab
