// SPDX-License-Identifier: Apache-2.0
#include "data/published_task.h"

#include <algorithm>

#include "data/labels.h"
#include "data/stable_hash.h"
#include "data/submission.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// What is asked or read together stays in one split.
bool is_trained(const TextExample& example, std::int64_t percent) {
  const std::string key = example.group.empty() ? record_of(example) : example.group;
  return stable_hash(key) % 100 < static_cast<std::uint64_t>(percent);
}

}  // namespace

std::string record_of(const TextExample& example) { return example.id.substr(example.id.find('/') + 1); }

PublishedTask::PublishedTask(DataSet data, PublishedOptions options)
    : data_(std::move(data)), options_(std::move(options)) {
  data_.published.suite = data_.task.substr(0, data_.task.find('/'));
  if (options_.path.empty())
    fail_config("task {}: path (the folder with the files) is missing; they are published at {}", data_.task,
                data_.published.address);
  check_max_rows(data_.task, options_.max_rows);
  if (options_.train_percent < 0 || options_.train_percent > 95)
    fail_config("task {}: train_percent should be 0 to 95, but is {}", data_.task, options_.train_percent);
  if (options_.train_percent > 0 && names_of("validation").empty())
    fail_config("task {}: train_percent needs a validation file; set validation", data_.task);
  if (options_.train_percent > 0 && !options_.train.empty())
    fail_config("task {}: train and train_percent cannot both say where the training split is from",
                data_.task);
}

std::vector<std::string> PublishedTask::splits() const {
  std::vector<std::string> known;
  for (const char* split : {"train", "validation", "test"})
    if (!names_of(split).empty() || (split == std::string("train") && options_.train_percent > 0))
      known.emplace_back(split);
  return known;
}

std::vector<TextExample> PublishedTask::load(const std::string& split) const {
  check_split(split);
  const std::int64_t percent = split == "test" ? 0 : options_.train_percent;
  const TextFile file = find(percent > 0 ? "validation" : split);
  std::vector<TextExample> examples;
  read(file, split, [&](TextExample example) {
    const bool full = options_.max_rows > 0 && examples.size() >= static_cast<std::size_t>(options_.max_rows);
    if (full || (percent > 0 && is_trained(example, percent) != (split == "train"))) return;
    examples.push_back(std::move(example));
  });
  if (examples.empty()) fail("{}: the split {} of task {} has no example", file.name, split, data_.task);
  return examples;
}

// A file that somebody named and that is not there is no set that lacks a split.
TextFile PublishedTask::find(const std::string& split) const {
  const std::string who = "task " + data_.task;
  try {
    return find_data_file(who, options_.path, data_.published, names_of(split));
  } catch (const MissingData& missing) {
    if (named_file(split).empty()) throw;
    fail_config("{}", missing.what());
  }
}

const std::string& PublishedTask::named_file(const std::string& split) const {
  if (split == "train") return options_.train;
  return split == "validation" ? options_.validation : options_.test;
}

std::vector<std::string> PublishedTask::names_of(const std::string& split) const {
  if (!named_file(split).empty()) return {named_file(split)};
  for (const auto& [known, names] : data_.files)
    if (known == split) return names;
  return {};
}

Submission PublishedTask::begin_submission(const std::string& file,
                                           const std::vector<std::string>& predictions,
                                           const std::vector<TextExample>& examples) const {
  if (options_.max_rows > 0)
    fail_config("task {}: max_rows: {}, but a submission is of all rows; set it to 0", data_.task,
                options_.max_rows);
  return trimtab::begin_submission(file, predictions, examples);
}

}  // namespace trimtab
