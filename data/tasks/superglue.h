// SPDX-License-Identifier: Apache-2.0
//
// SuperGLUE (https://super.gluebenchmark.com), read from the official JSONL folders or archives, in the text
// formats of the T5 code without the leading task name. MultiRC, ReCoRD and WSC are in files of their own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/class_task.h"

namespace trimtab {

// superglue/boolq, cb, copa, rte, wic, and the diagnostics axb and axg, which have a test split only.
const std::vector<ClassTask>& superglue_tasks();

// superglue/multirc: is this answer to this question about a paragraph right? One example an answer.
std::unique_ptr<Task> make_multirc(PublishedOptions options);
// superglue/record: which entity of a news text fills the gap? In training one example a right answer,
// elsewhere one a question.
std::unique_ptr<Task> make_record(PublishedOptions options);
// superglue/wsc: what does the starred pronoun stand for? Trained on right referents only; scored by whether
// the answer names the referent exactly where it should.
std::unique_ptr<Task> make_wsc(PublishedOptions options);

// The data set of the folder ("RTE") in the official layout.
DataSet superglue_data(const std::string& task, const std::string& folder);

}  // namespace trimtab
