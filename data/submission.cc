// SPDX-License-Identifier: Apache-2.0
#include "data/submission.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "data/metrics.h"
#include "runtime/check.h"

namespace trimtab {

Submission begin_submission(const std::string& file, const std::vector<std::string>& predictions,
                            const std::vector<TextExample>& examples) {
  check_counts(predictions.size(), examples.size());
  std::set<std::string_view> seen;
  for (const TextExample& example : examples)
    if (!seen.insert(example.id).second)
      fail("{} cannot be written: the row {} is there twice; get the official file again", file, example.id);
  Submission submission;
  submission.file = file;
  if (file.ends_with(".tsv")) submission.lines.emplace_back("index\tprediction");
  return submission;
}

nlohmann::ordered_json json_value(const std::string& text) {
  const bool whole =
      !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos;
  if (whole) return std::stoull(text);
  return text;
}

std::string json_line(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void add_submitted(Submission& submission, const std::string& record, const std::string& label) {
  submission.lines.push_back(submission.file.ends_with(".tsv")
                                 ? fmt::format("{}\t{}", record, label)
                                 : json_line({{"idx", json_value(record)}, {"label", json_value(label)}}));
}

}  // namespace trimtab
