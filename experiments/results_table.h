// SPDX-License-Identifier: Apache-2.0
//
// Results as a table for people (aligned text, Markdown) or for programs (CSV, numbers in full).
#pragma once

#include <string>

#include "experiments/results.h"
#include "experiments/text_table.h"

namespace trimtab {

// A line a row: settings, runs, score on each split (mean, and spread over the seeds), what the most frequent
// label scores, trained parameters, their share of the model, seconds and peak memory of a run, predictions
// that were no legal label. Scores are in percent.
std::string results_table(const Results& results, TableFormat format);

}  // namespace trimtab
