// SPDX-License-Identifier: Apache-2.0
//
// GLUE (https://gluebenchmark.com), read from the official TSV folders or archives, in the text formats of
// the T5 code without the leading task name. STS-B, whose targets are numbers, is in a file of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/class_task.h"

namespace trimtab {

// glue/cola, sst2, mrpc, qqp, mnli (scored on the matched sections), mnli_mismatched, qnli, rte, wnli.
const std::vector<ClassTask>& glue_tasks();

// glue/stsb: how alike are two sentences, "0.0" to "5.0" in steps of 0.2?
std::unique_ptr<Task> make_stsb(PublishedOptions options);

// The data set of the folder in the official layout.
DataSet glue_data(const std::string& task, const std::string& folder, const std::string& archive);

}  // namespace trimtab
