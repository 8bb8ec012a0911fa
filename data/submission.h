// SPDX-License-Identifier: Apache-2.0
//
// The lines of submission files: GLUE wants tab-separated index and prediction under a header, SuperGLUE one
// JSON object a line. Formats: https://gluebenchmark.com/faq, https://super.gluebenchmark.com/faq.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/task.h"

namespace trimtab {

// With the header line of a .tsv file. Throws Error if the counts differ.
Submission begin_submission(const std::string& file, const std::vector<std::string>& predictions,
                            const std::vector<TextExample>& examples);

// "7<tab>label" or {"idx":7,"label":"label"}, a label in digits as a number.
void add_submitted(Submission& submission, const std::string& record, const std::string& label);

// Whole numbers as such, anything else as a string.
nlohmann::ordered_json json_value(const std::string& text);

// On one line. What a model generates need not be UTF-8; bytes that are not become U+FFFD.
std::string json_line(const nlohmann::ordered_json& value);

}  // namespace trimtab
