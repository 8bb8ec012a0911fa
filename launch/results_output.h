// SPDX-License-Identifier: Apache-2.0
//
// What `compare` and `report` leave of results: a table on standard output, pictures beside the runs.
#pragma once

#include <ostream>
#include <string>

#include "experiments/results.h"
#include "experiments/results_table.h"

namespace trimtab {

// Draws all pictures into the folder; `words` says which, or why there are none, and what is in no row.
void draw_results(const std::string& title, const Results& results, const std::string& folder,
                  std::ostream& words);

// Nothing if there are no rows.
void print_table(const Results& results, TableFormat format);

}  // namespace trimtab
