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

// glue/sst2: is the sentence of a film review positive?
std::unique_ptr<Task> make_sst2(Sst2Options options);

}  // namespace trimtab
