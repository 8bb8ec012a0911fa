// SPDX-License-Identifier: Apache-2.0
#include "experiments/comparison.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "data/text_file.h"
#include "experiments/same_run.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::string score_of(const RunRecord& record, const std::string& split) {
  const auto found = record.scores.find(split);
  return found == record.scores.end() ? "-" : fmt::format("{:.2f}", found->second.main_value());
}

// (steps, score) of the lines of metrics.jsonl that tell of a split.
std::vector<std::pair<double, double>> curve_of(const std::string& metrics, const std::string& split) {
  std::vector<std::pair<double, double>> out;
  std::ifstream file(metrics);
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (row.is_object() && row.value("kind", "") == split && row.contains("score") &&
        row["score"].is_number())
      out.emplace_back(row.value("step", 0.0), row["score"].get<double>());
  }
  return out;
}

}  // namespace

ComparisonConfig load_comparison(const std::string& path) {
  auto out = load_config<ComparisonConfig>(path);
  const std::filesystem::path base = out.base;
  if (base.is_relative()) out.base = (std::filesystem::path(path).parent_path() / base).string();
  std::set<std::string> names;
  for (const ComparedRun& run : out.runs)
    if (!names.insert(run.name).second) fail_config("{}: runs: two are named '{}'", path, run.name);
  return out;
}

ExperimentConfig experiment_of(const ComparisonConfig& comparison, const ComparedRun& run,
                               const std::vector<std::string>& overrides) {
  std::vector<std::string> all = run.set;
  all.insert(all.end(), overrides.begin(), overrides.end());
  auto out = load_config<ExperimentConfig>(comparison.base, all);
  out.name = comparison.name + "/" + run.name;
  out.output = comparison.output + "/" + run.name;
  return out;
}

bool is_finished(const ExperimentConfig& config) {
  const RunFolder folder(config.output);
  const auto record = load_record(folder.record());
  if (!record || record->status != "finished") return false;
  const std::string wanted = dump_config(config);
  const std::string stored = read_bytes(folder.config());
  check_same_run(stored, wanted, folder.config());
  const auto differences = difference(parse_yaml(stored, folder.config()), parse_yaml(wanted, "this run"));
  return std::ranges::none_of(differences, [](const Difference& d) {
    return d.key == "train.steps" || d.key.starts_with("evaluate.") || d.key.starts_with("text.");
  });
}

std::string comparison_table(const std::vector<ComparedResult>& results, const std::string& dev_split) {
  using Row = std::array<std::string, 6>;
  std::vector<Row> rows = {{"run", dev_split, "test", "trained parameters", "share of the model", "seconds"}};
  for (const ComparedResult& result : results) {
    if (!result.record || result.record->status != "finished") {
      rows.push_back({result.name, result.record ? result.record->status : "failed", "-", "-", "-", "-"});
      continue;
    }
    const RunRecord& r = *result.record;
    rows.push_back({result.name, score_of(r, dev_split), score_of(r, "test"),
                    std::to_string(r.trained_parameters), fmt::format("{:.4f} %", r.share_percent()),
                    fmt::format("{:.0f}", r.seconds)});
  }
  std::array<std::size_t, 6> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out += fmt::format("| {:<{}} |", rows[r][0], widths[0]);
    for (std::size_t i = 1; i < widths.size(); ++i) out += fmt::format(" {:>{}} |", rows[r][i], widths[i]);
    out += "\n";
    if (r > 0) continue;
    out += fmt::format("|:{:-<{}} |", "", widths[0]);
    for (std::size_t i = 1; i < widths.size(); ++i) out += fmt::format(" {:->{}}:|", "", widths[i]);
    out += "\n";
  }
  return out;
}

Plot comparison_plot(const std::string& title, const std::vector<ComparedResult>& results,
                     const std::string& dev_split) {
  Plot plot;
  plot.title = title;
  plot.x_label = "steps";
  plot.y_label = dev_split + " score, percent";
  for (const ComparedResult& result : results) {
    auto points = curve_of(RunFolder(result.output).metrics(), dev_split);
    if (!points.empty()) {
      plot.curves.push_back({result.name, std::move(points)});
    } else if (result.record && result.record->scores.contains(dev_split)) {
      plot.levels.emplace_back(result.name, result.record->scores.at(dev_split).main_value());
    }
  }
  return plot;
}

}  // namespace trimtab
