// SPDX-License-Identifier: Apache-2.0
//
// Ensembles on several data sets as the paper's Table 3 has them: a line a metric, and the mean over the data
// sets, of which each counts by its main metric.
#pragma once

#include <string>
#include <vector>

#include "experiments/text_table.h"

namespace trimtab {

// Of files that `trimtab evaluate --ensemble --format json` wrote, called as the data sets. Throws Error for
// a file that is none of them.
std::vector<Cells> ensemble_lines(const std::vector<std::string>& files);

}  // namespace trimtab
