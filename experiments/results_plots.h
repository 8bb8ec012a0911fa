// SPDX-License-Identifier: Apache-2.0
//
// What results look like: the score over the steps, and the score over each axis that is a number. A picture
// shows one task.
#pragma once

#include <string>
#include <vector>

#include "experiments/plot.h"
#include "experiments/results.h"

namespace trimtab {

struct NamedPlot {
  std::string name;  // of the file, without ending
  Plot plot;
};

// "curves": for each row the mean over its runs of the dev score, at the steps at which all of them were
// scored, with a band of one deviation; a level for each row that does not train, and for the most frequent
// label; of more than twelve rows a picture for each value of a column. "by-<column>", for columns of numbers
// and for the size of the model: a curve a combination of the other columns, with bars of one deviation; rows
// without a value are levels. Of several tasks each has pictures of its own. Reads the runs' metrics.jsonl.
std::vector<NamedPlot> results_plots(const std::string& title, const Results& results);

}  // namespace trimtab
