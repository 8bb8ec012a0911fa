// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "experiments/results.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using Runs = std::vector<StoredRun>;

// Settings and seed, without what is the task's own.
std::string text_without_task(const StoredRun& run) {
  std::string out;
  for (const auto& [key, value] : leaves_of(run.config)) {
    const bool own = key == "name" || key == "output" || key == "labels" || key.starts_with("train.log_") ||
                     key.starts_with("task.") || key.starts_with("text.");
    if (!own) out += fmt::format("{}={}\n", key, value);
  }
  return out;
}

// Only the labels on which the runs agree.
ConfigNode shared_labels(const Runs& runs) {
  ConfigNode out = ConfigNode::list();
  const auto has = [](const StoredRun& run, const auto& label) {
    const auto labels = labels_of(run.config);
    return std::ranges::find(labels, label) != labels.end();
  };
  for (const auto& label : labels_of(runs.front().config))
    if (std::ranges::all_of(runs, [&](const StoredRun& run) { return has(run, label); }))
      out.items.push_back(ConfigNode::string(label.first + "=" + label.second));
  return out;
}

ConfigNode shared_config(const Runs& runs, const std::string& name) {
  ConfigNode out = ConfigNode::map();
  const ConfigNode& first = runs.front().config;
  for (std::size_t i = 0; i < first.keys.size(); ++i) {
    if (first.keys[i] == "text") continue;
    if (first.keys[i] == "labels") {
      out.add("labels", shared_labels(runs));
    } else if (first.keys[i] == "task") {
      out.add("task", ConfigNode::map()).add("name", ConfigNode::string(name));
    } else {
      out.add(first.keys[i], first.items[i]);
    }
  }
  return out;
}

// Nothing unless every run was scored on the split.
std::optional<SplitScores> mean_scores_of(const Runs& runs, const std::string& split,
                                          const std::string& name) {
  std::vector<double> values, floors;
  SplitScores out;
  for (const StoredRun& run : runs) {
    const auto found = run.record.scores.find(split);
    if (found == run.record.scores.end()) return std::nullopt;
    values.push_back(found->second.main_value());
    if (found->second.majority) floors.push_back(*found->second.majority);
    out.examples += found->second.examples;
    out.invalid += found->second.invalid;
    out.cut_inputs += found->second.cut_inputs;
  }
  out.main = name;
  out.metrics = {{name, statistic_of(values).mean}};
  if (floors.size() == runs.size()) out.majority = statistic_of(floors).mean;
  return out;
}

StoredRun mean_run(const Runs& runs, const std::string& name) {
  StoredRun out{"", runs.front().record, shared_config(runs, name)};
  out.record.task = name;
  out.record.scores.clear();
  out.record.seconds = 0;
  for (const StoredRun& run : runs) {
    out.record.seconds += run.record.seconds;
    out.record.peak_memory = std::max(out.record.peak_memory, run.record.peak_memory);
    for (const auto& scores : run.record.scores)
      if (auto mean = mean_scores_of(runs, scores.first, name)) out.record.scores[scores.first] = *mean;
  }
  return out;
}

}  // namespace

Runs mean_over_tasks(const Runs& runs, std::vector<std::string>& notes) {
  std::set<std::string> tasks;
  std::vector<std::pair<std::string, Runs>> groups;
  for (const StoredRun& run : runs) {
    tasks.insert(run.record.task);
    if (run.record.status != "finished") continue;
    const std::string text = text_without_task(run);
    auto group = std::ranges::find(groups, text, &std::pair<std::string, Runs>::first);
    if (group == groups.end()) group = groups.insert(groups.end(), {text, {}});
    Runs& members = group->second;
    const auto same =
        std::ranges::find(members, run.record.task, [](const StoredRun& r) { return r.record.task; });
    if (same == members.end()) members.push_back(run);
  }
  const std::string name = fmt::format("mean of {} tasks", tasks.size());
  Runs out;
  for (const auto& [text, members] : groups) {
    if (members.size() == tasks.size()) {
      out.push_back(mean_run(members, name));
      continue;
    }
    std::set<std::string> missing = tasks;
    for (const StoredRun& run : members) missing.erase(run.record.task);
    notes.push_back(fmt::format("{} and its like on other tasks have no mean: {} missing",
                                members.front().folder, fmt::join(missing, ", ")));
  }
  return out;
}

}  // namespace trimtab
