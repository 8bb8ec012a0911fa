// SPDX-License-Identifier: Apache-2.0
#include "experiments/comparison.h"

#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "experiments/experiment.h"
#include "experiments/grid.h"
#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {
namespace {

std::vector<RunSettings> settings_of(const ComparisonConfig& config, const std::string& path) {
  std::vector<RunSettings> out;
  for (const ListedRun& run : config.runs) {
    const std::string place = fmt::format("{}: runs: {}", path, run.name);
    check_run_name(run.name, place);
    RunSettings& one = out.emplace_back();
    one.name = run.name;
    one.labels.emplace_back("run", run.name);
    for (const std::string& text : run.set) one.set.push_back(parse_assignment(text, place));
  }
  if (config.grid.kind != ConfigNode::Kind::kNull) {
    const std::vector<RunSettings> grid = expand_grid(config.grid, config.exclude);
    out.insert(out.end(), grid.begin(), grid.end());
  } else if (config.exclude.kind != ConfigNode::Kind::kNull) {
    fail_config("{}: exclude: there is no grid to leave anything out of", config.exclude.place);
  }
  if (out.empty()) fail_config("{}: runs: there are none; list some, or give a grid", path);
  return out;
}

void check_overrides(const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    const std::string key = parse_assignment(text, "--set").key;
    if (key == "output") fail_config("--set: output: each run has its own; use --output for the whole");
    if (key == "name" || key == "labels")
      fail_config("--set: {}: the comparison gives each run its own", key);
  }
}

ExperimentConfig experiment_of(ConfigNode base, const RunSettings& run,
                               const std::vector<std::string>& overrides) {
  for (const Assignment& assignment : run.set) change_experiment(base, assignment);
  return resolved(read_experiment(std::move(base), overrides));
}

// As YAML, but for what the comparison gives each run.
std::string experiment_text(ExperimentConfig config) {
  config.name = config.output = "";
  config.labels.clear();
  return dump_config(config);
}

}  // namespace

Comparison load_comparison(const std::string& path, const std::vector<std::string>& overrides,
                           const std::string& output) {
  auto config = load_config<ComparisonConfig>(path);
  check_overrides(overrides);
  std::filesystem::path base_path = config.base;
  if (base_path.is_relative()) base_path = std::filesystem::path(path).parent_path() / base_path;
  ConfigNode base = read_yaml_file(base_path.string());
  for (const std::string& text : config.set) change_experiment(base, parse_assignment(text, path + ": set"));
  Comparison out;
  out.name = config.name;
  out.output = output.empty() ? config.output : output;
  std::set<std::string> names;
  for (const RunSettings& run : settings_of(config, path)) {
    if (!names.insert(run.name).second)
      fail_config("{}: two runs are named '{}'; give their settings names that tell them apart", path,
                  run.name);
    ExperimentConfig experiment = experiment_of(base, run, overrides);
    experiment.name = out.name + "/" + run.name;
    experiment.output = out.output + "/" + run.name;
    for (const auto& [axis, setting] : run.labels) experiment.labels.push_back(axis + "=" + setting);
    out.runs.push_back({run.name, std::move(experiment)});
  }
  return out;
}

void check_distinct(const Comparison& comparison) {
  std::map<std::string, std::string> names;  // of experiments
  for (const ComparedRun& run : comparison.runs) {
    const auto [same, is_new] = names.emplace(experiment_text(run.config), run.name);
    if (!is_new)
      fail_config(
          "{}: the runs '{}' and '{}' are the same experiment; leave one out, or run one alone with --run",
          comparison.name, same->second, run.name);
  }
}

std::size_t find_run(const Comparison& comparison, const std::string& name_or_number) {
  std::size_t number = 0;
  const char* end = name_or_number.data() + name_or_number.size();
  const auto [stop, error] = std::from_chars(name_or_number.data(), end, number);
  if (stop == end && error == std::errc()) {
    if (number == 0 || number > comparison.runs.size())
      fail_config("--run: {} is not from 1 to {}, the number of runs (--list shows them)", name_or_number,
                  comparison.runs.size());
    return number - 1;
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    if (comparison.runs[i].name == name_or_number) return i;
    names.push_back(comparison.runs[i].name);
  }
  fail_config("--run: there is no run '{}'{} (--list shows them)", name_or_number,
              did_you_mean(name_or_number, names));
}

}  // namespace trimtab
