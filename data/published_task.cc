// SPDX-License-Identifier: Apache-2.0
#include "data/published_task.h"

#include <algorithm>

#include "data/labels.h"
#include "data/stable_hash.h"
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
  const auto names = names_of(percent > 0 ? "validation" : split);
  const TextFile file = find_data_file("task " + data_.task, options_.path, data_.published, names);
  std::vector<TextExample> examples;
  read(file, split, [&](TextExample example) {
    const bool full = options_.max_rows > 0 && examples.size() >= static_cast<std::size_t>(options_.max_rows);
    if (full || (percent > 0 && is_trained(example, percent) != (split == "train"))) return;
    examples.push_back(std::move(example));
  });
  if (examples.empty()) fail("{}: the split {} of task {} has no example", file.name, split, data_.task);
  return examples;
}

std::vector<std::string> PublishedTask::names_of(const std::string& split) const {
  const std::string& named = split == "train"        ? options_.train
                             : split == "validation" ? options_.validation
                                                     : options_.test;
  if (!named.empty()) return {named};
  for (const auto& [known, names] : data_.files)
    if (known == split) return names;
  return {};
}

}  // namespace trimtab
