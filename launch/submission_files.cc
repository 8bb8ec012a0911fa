// SPDX-License-Identifier: Apache-2.0
#include "launch/submission_files.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string path_of(const std::string& folder, const Submission& file) { return folder + "/" + file.file; }

}  // namespace

void check_submission(const std::string& folder, const Evaluator& evaluator) {
  const std::vector<std::string> nothing(evaluator.examples().size());
  const auto files = evaluator.task().submissions(nothing, evaluator.examples());
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    fail("--submission: cannot make the folder {}: {}; name one that you may write", folder, error.message());
  for (const Submission& file : files) const AtomicPath writable(path_of(folder, file));
}

std::vector<std::string> write_submission(const std::string& folder, const Evaluator& evaluator,
                                          const std::vector<std::string>& predictions) {
  std::vector<std::string> report;
  for (const Submission& file : evaluator.task().submissions(predictions, evaluator.examples())) {
    std::string text;
    for (const std::string& line : file.lines) text += line + "\n";
    write_file_atomically(path_of(folder, file), text);
    const std::size_t head = file.file.ends_with(".tsv") ? 1 : 0;
    report.push_back(fmt::format("{}: {} rows, {} predictions were no legal label", path_of(folder, file),
                                 file.lines.size() - head, file.invalid));
  }
  return report;
}

}  // namespace trimtab
