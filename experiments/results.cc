// SPDX-License-Identifier: Apache-2.0
#include "experiments/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "experiments/run_lock.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// What a run is called, where it lies and what it prints.
constexpr std::array<std::string_view, 7> kNoSetting = {
    "text.cache", "name", "output", "labels", "train.seed", "train.log_every", "train.log_seconds"};

bool is_setting(const std::string& key) { return std::ranges::find(kNoSetting, key) == kNoSetting.end(); }

std::string settings_text(const StoredRun& run) {
  std::string out;
  for (const auto& [key, value] : leaves_of(run.config))
    if (is_setting(key)) out += fmt::format("{}={}\n", key, value);
  return out;
}

// Why a run has no place in a table; "" if it has.
std::string obstacle(const StoredRun& run) {
  const std::string& status = run.record.status;
  if (status == "finished") return run.record.scores.empty() ? "was not scored" : "";
  if (!run.folder.empty())
    if (const std::string holder = lock_holder(run.folder); !holder.empty())
      return fmt::format("is running ({})", holder);
  return fmt::format("is {} after {} steps", status == "running" ? "interrupted" : status, run.record.steps);
}

// Finished runs with the same settings but for the seed.
std::vector<std::vector<StoredRun>> groups_of(const std::vector<StoredRun>& runs,
                                              std::vector<std::string>& notes) {
  std::vector<std::vector<StoredRun>> out;
  std::map<std::string, std::size_t> places;
  for (const StoredRun& run : runs) {
    if (const std::string why = obstacle(run); !why.empty()) {
      notes.push_back(fmt::format("{} {}", run.folder, why));
      continue;
    }
    const auto [place, is_new] = places.emplace(settings_text(run), out.size());
    if (is_new) out.emplace_back();
    std::vector<StoredRun>& group = out[place->second];
    const auto same = std::ranges::find(group, run.seed(), &StoredRun::seed);
    if (same != group.end())
      notes.push_back(fmt::format("{} is the run in {} once more: it counts once", run.folder, same->folder));
    else
      group.push_back(run);
  }
  return out;
}

// A possible column: the value of each row.
struct Candidate {
  std::string key;
  std::vector<std::string> values;

  std::size_t distinct() const { return std::set(values.begin(), values.end()).size(); }
};

Candidate& candidate_of(std::vector<Candidate>& all, const std::string& key, std::size_t rows) {
  const auto found = std::ranges::find(all, key, &Candidate::key);
  return found != all.end() ? *found : all.emplace_back(Candidate{key, std::vector<std::string>(rows)});
}

std::string label_of(const StoredRun& run, const std::string& axis) {
  for (const auto& [key, setting] : labels_of(run.config))
    if (key == axis) return setting;
  return "";
}

std::string title_of(const std::string& key) {
  const std::string whole = key.ends_with(".name") ? key.substr(0, key.size() - 5) : key;
  return whole.substr(whole.rfind('.') + 1);
}

// What a run that has not the label has at the key that is called so: grids need not spell out the base.
std::string value_of(const StoredRun& run, const std::string& axis) {
  std::string out;
  for (const auto& [key, value] : leaves_of(run.config)) {
    if (key == axis) return value;
    if (title_of(key) != axis) continue;
    if (!out.empty()) return "";
    out = value;
  }
  return out;
}

// The labels on which all runs of each row agree: what a row's runs differ in is the seed.
std::vector<Candidate> label_candidates(const std::vector<std::vector<StoredRun>>& groups) {
  std::vector<Candidate> out;
  for (std::size_t row = 0; row < groups.size(); ++row)
    for (const StoredRun& run : groups[row])
      for (const auto& [axis, setting] : labels_of(run.config))
        candidate_of(out, axis, groups.size()).values[row] = setting;
  std::erase_if(out, [&](const Candidate& label) {
    for (std::size_t row = 0; row < groups.size(); ++row)
      for (const StoredRun& run : groups[row])
        if (label_of(run, label.key) != label.values[row]) return true;
    return false;
  });
  for (Candidate& label : out)
    for (std::size_t row = 0; row < groups.size(); ++row)
      if (label.values[row].empty()) label.values[row] = value_of(groups[row].front(), label.key);
  std::erase_if(out, [](const Candidate& label) { return label.distinct() < 2; });
  return out;
}

std::vector<Candidate> key_candidates(const std::vector<std::vector<StoredRun>>& groups) {
  std::vector<Candidate> out;
  candidate_of(out, "task.name", groups.size());
  candidate_of(out, "method.name", groups.size());
  for (std::size_t row = 0; row < groups.size(); ++row)
    for (const auto& [key, value] : leaves_of(groups[row].front().config))
      if (is_setting(key)) candidate_of(out, key, groups.size()).values[row] = value;
  return out;
}

// The rows that the chosen columns do not tell apart share a class.
class Partition {
 public:
  explicit Partition(std::size_t rows) : classes_(rows, 0) {}

  // False if the values tell nothing new.
  bool refine(const std::vector<std::string>& values) {
    std::map<std::pair<std::size_t, std::string>, std::size_t> numbers;
    for (std::size_t row = 0; row < classes_.size(); ++row)
      classes_[row] = numbers.emplace(std::pair(classes_[row], values[row]), numbers.size()).first->second;
    const bool more = numbers.size() > count_;
    count_ = numbers.size();
    return more;
  }

 private:
  std::vector<std::size_t> classes_;
  std::size_t count_ = 1;
};

std::vector<Candidate> choose_columns(const std::vector<std::vector<StoredRun>>& groups) {
  std::vector<Candidate> out = label_candidates(groups);
  Partition partition(groups.size());
  for (const Candidate& label : out) partition.refine(label.values);
  const bool labelled = !out.empty();
  for (const Candidate& key : key_candidates(groups)) {
    const bool more = partition.refine(key.values);
    const bool named = key.key == "task.name" || key.key == "method.name";
    if (more || (named && !labelled && key.distinct() > 1)) out.push_back(key);
  }
  // A table of one row still says of what.
  if (out.empty() && !groups.empty()) out.push_back(key_candidates(groups)[1]);
  return out;
}

// Paths and tasks by their last part, if that is enough.
void shorten(std::vector<std::string>& values) {
  std::map<std::string, std::string> of;  // short -> long
  for (const std::string& value : values) {
    const std::string shorter = value.substr(value.ends_with('/') ? 0 : value.rfind('/') + 1);
    if (of.emplace(shorter, value).first->second != value) return;
  }
  for (std::string& value : values) value = value.substr(value.ends_with('/') ? 0 : value.rfind('/') + 1);
}

void add_columns(std::vector<Candidate> chosen, Results& results) {
  for (Candidate& column : chosen) {
    shorten(column.values);
    const std::string title = title_of(column.key);
    const auto shared =
        std::ranges::count_if(chosen, [&](const Candidate& other) { return title_of(other.key) == title; });
    results.columns.push_back({column.key, shared > 1 ? column.key : title});
    for (std::size_t row = 0; row < results.rows.size(); ++row)
      results.rows[row].settings.push_back(column.values[row]);
  }
}

double mean_of(const ResultRow& row, double (*value)(const StoredRun&)) {
  std::vector<double> values;
  for (const StoredRun& run : row.runs) values.push_back(value(run));
  return statistic_of(values).mean;
}

}  // namespace

Statistic statistic_of(const std::vector<double>& values) {
  TT_CHECK(!values.empty(), "there is no mean of nothing");
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() > 1 ? std::sqrt(squares / (count - 1)) : 0.0, values.size()};
}

Statistic ResultRow::score(const std::string& split) const {
  std::vector<double> values;
  for (const StoredRun& run : runs)
    if (const auto found = run.record.scores.find(split); found != run.record.scores.end())
      values.push_back(found->second.main_value());
  return values.empty() ? Statistic{} : statistic_of(values);
}

double ResultRow::invalid() const {
  return mean_of(*this, [](const StoredRun& run) {
    const auto found = run.record.scores.find(run.dev_split());
    return found == run.record.scores.end() ? 0.0 : static_cast<double>(found->second.invalid);
  });
}

std::optional<double> ResultRow::majority() const {
  const auto& scores = record().scores;
  const auto found = scores.find(runs.front().dev_split());
  return found == scores.end() ? std::nullopt : found->second.majority;
}

double ResultRow::seconds() const {
  return mean_of(*this, [](const StoredRun& run) { return run.record.seconds; });
}

std::uint64_t ResultRow::peak_memory() const {
  std::uint64_t out = 0;
  for (const StoredRun& run : runs) out = std::max(out, run.record.peak_memory);
  return out;
}

std::string ResultRow::name(const std::vector<ResultColumn>& columns) const {
  std::string out;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const std::string& value = settings[i];
    if (value.empty()) continue;
    const bool says_what = value.find_first_of("0123456789") != 0;
    out += fmt::format("{}{}", out.empty() ? "" : ", ",
                       says_what ? value : fmt::format("{} {}", columns[i].title, value));
  }
  return out;
}

Results collate(const std::vector<StoredRun>& runs) {
  Results out;
  const std::vector<std::vector<StoredRun>> groups = groups_of(runs, out.notes);
  for (const auto& group : groups) out.rows.push_back({{}, group});
  add_columns(choose_columns(groups), out);
  const auto add_split = [&](const std::string& split) {
    if (std::ranges::find(out.splits, split) == out.splits.end()) out.splits.push_back(split);
  };
  for (const auto& group : groups)
    for (const StoredRun& run : group)
      if (run.record.scores.contains(run.dev_split())) add_split(run.dev_split());
  for (const auto& group : groups)
    for (const StoredRun& run : group)
      for (const auto& scores : run.record.scores) add_split(scores.first);
  return out;
}

}  // namespace trimtab
