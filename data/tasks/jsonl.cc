// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/jsonl.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <system_error>

#include "data/jsonl.h"
#include "data/labels.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

class JsonlTask final : public Task {
 public:
  explicit JsonlTask(JsonlOptions options) : options_(std::move(options)) {
    if (splits().empty()) fail_config("task jsonl: no file is given (train, validation or test)");
    if (options_.input.empty() || options_.target.empty())
      fail_config("task jsonl: input and target should name fields of a row");
    const std::set<std::string> distinct(options_.labels.begin(), options_.labels.end());
    if (options_.labels.size() == 1) fail_config("task jsonl: one label alone leaves nothing to learn");
    if (distinct.size() != options_.labels.size()) fail_config("task jsonl: a label is listed twice");
    if (distinct.count("") != 0) fail_config("task jsonl: a label is empty");
    check_max_rows(name(), options_.max_rows);
  }

  std::string name() const override { return "jsonl"; }
  std::vector<std::string> labels() const override { return options_.labels; }
  std::vector<std::string> splits() const override {
    std::vector<std::string> known;
    for (const char* split : {"train", "validation", "test"})
      if (!file_of(split).empty()) known.emplace_back(split);
    return known;
  }

  std::vector<TextExample> load(const std::string& split) const override {
    check_split(split);
    if (std::error_code ignored; !std::filesystem::exists(file_of(split), ignored))
      fail_config("task.{}: there is no file {}", split, file_of(split));
    std::vector<TextExample> examples;
    for_each_json_row(file_of(split), [&](const JsonRow& row) {
      if (options_.max_rows == 0 || examples.size() < static_cast<std::size_t>(options_.max_rows))
        examples.push_back(read(row, split, examples.size()));
    });
    return examples;
  }

 private:
  const std::string& file_of(const std::string& split) const {
    if (split == "train") return options_.train;
    return split == "validation" ? options_.validation : options_.test;
  }

  TextExample read(const JsonRow& row, const std::string& split, std::size_t number) const {
    TextExample example;
    example.input = row.printed(options_.input);
    if (split == "test" && !row.has(options_.target)) {
      example.target = kNoLabel;
    } else {
      std::vector<std::string> answers = row.texts(options_.target);
      if (!options_.labels.empty())
        for (const std::string& answer : answers) check_label(answer, options_.labels, row.place());
      example.target = answers.front();
      example.references.assign(answers.begin() + 1, answers.end());
    }
    example.id = options_.id.empty() ? fmt::format("{}/{}", split, number) : row.printed(options_.id);
    if (!options_.group.empty()) example.group = row.printed(options_.group);
    return example;
  }

  JsonlOptions options_;
};

}  // namespace

std::unique_ptr<Task> make_jsonl(JsonlOptions options) {
  return std::make_unique<JsonlTask>(std::move(options));
}

}  // namespace trimtab
