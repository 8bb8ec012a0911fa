// SPDX-License-Identifier: Apache-2.0
#include "experiments/results_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace trimtab {
namespace {

using Rows = std::vector<const ResultRow*>;
using Scores = std::map<std::int64_t, double>;  // by steps made

// The lines of metrics.jsonl that tell of the dev split.
Scores scores_over_steps(const StoredRun& run) {
  Scores out;
  const std::string split = run.dev_split();
  std::ifstream file(RunFolder(run.folder).metrics());
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (row.is_object() && row.value("kind", "") == split && row.contains("score") &&
        row["score"].is_number())
      out[row.value("step", std::int64_t{0})] = row["score"].get<double>();
  }
  return out;
}

PlotPoint point_of(double x, const Statistic& score) { return {x, score.mean, score.deviation}; }

std::vector<PlotPoint> mean_curve(const ResultRow& row) {
  std::map<std::int64_t, std::vector<double>> values;
  for (const StoredRun& run : row.runs)
    for (const auto& [step, score] : scores_over_steps(run)) values[step].push_back(score);
  std::vector<PlotPoint> out;
  for (const auto& [step, scores] : values)
    if (scores.size() == row.runs.size())
      out.push_back(point_of(static_cast<double>(step), statistic_of(scores)));
  return out;
}

// Of a picture: its rows are of one task, which is not said again.
struct Subject {
  std::string title;
  std::string suffix;  // of file names
  Rows rows;
  std::vector<ResultColumn> columns;
  std::optional<std::size_t> task_column;
};

bool varies(const Subject& subject, std::size_t column) {
  return std::ranges::any_of(subject.rows, [&](const ResultRow* row) {
    return row->settings[column] != subject.rows.front()->settings[column];
  });
}

// By the columns in which the rows of the picture differ, but for the one that is its axis.
std::string legend_of(const ResultRow& row, const Subject& subject,
                      std::optional<std::size_t> axis = std::nullopt) {
  ResultRow named{row.settings, {}};
  for (std::size_t i = 0; i < named.settings.size(); ++i)
    if (i == axis || !varies(subject, i)) named.settings[i].clear();
  const std::string name = named.name(subject.columns);
  return name.empty() ? row.record().method : name;
}

Plot empty_plot(const Subject& subject) {
  const ResultRow& row = *subject.rows.front();
  const std::string split = row.runs.front().dev_split();
  const auto found = row.record().scores.find(split);
  const std::string metric = found == row.record().scores.end() ? "score" : found->second.main;
  Plot out;
  out.title = subject.title;
  out.y_label = fmt::format("{} {}, percent", split, metric);
  return out;
}

void add_level(const ResultRow& row, const std::string& name, Plot& plot) {
  const Statistic score = row.score(row.runs.front().dev_split());
  if (score.count > 0) plot.levels.emplace_back(name, score.mean);
}

// The floor is the same for all rows of a task, unless they were scored on different examples.
void add_majority(const Subject& subject, Plot& plot) {
  std::set<double> levels;
  for (const ResultRow* row : subject.rows)
    if (row->majority()) levels.insert(*row->majority());
  if (levels.size() == 1) plot.levels.emplace_back("majority class", *levels.begin());
}

// Nothing if no row has a curve.
std::optional<NamedPlot> curve_plot(const Subject& subject) {
  Plot plot = empty_plot(subject);
  plot.x_label = "steps";
  for (const ResultRow* row : subject.rows) {
    const std::string name = legend_of(*row, subject);
    std::vector<PlotPoint> points = mean_curve(*row);
    if (!points.empty())
      plot.curves.push_back({name, std::move(points)});
    else
      add_level(*row, name, plot);
  }
  if (plot.curves.empty()) return std::nullopt;
  add_majority(subject, plot);
  return NamedPlot{"curves" + subject.suffix, std::move(plot)};
}

// The rows with each value of a column, as subjects of their own.
std::vector<Subject> split_by(const Subject& subject, std::size_t column) {
  std::vector<std::pair<std::string, Rows>> parts;
  for (const ResultRow* row : subject.rows) {
    const std::string& value = row->settings[column];
    auto found = std::ranges::find(parts, value, &std::pair<std::string, Rows>::first);
    if (found == parts.end()) found = parts.insert(parts.end(), {value, {}});
    found->second.push_back(row);
  }
  std::vector<Subject> out;
  for (const auto& [value, rows] : parts) {
    Subject part = subject;
    const std::string text =
        fmt::format("{} {}", subject.columns[column].title, value.empty() ? "none" : value);
    part.title += ", " + text;
    part.suffix += "-" + text;
    std::ranges::replace_if(
        part.suffix, [](char c) { return c == ' ' || c == '/'; }, '-');
    part.rows = rows;
    out.push_back(std::move(part));
  }
  return out;
}

// Of more rows than can be told apart, a picture for each value of the column that has most.
std::vector<NamedPlot> curves(const Subject& subject) {
  constexpr std::size_t kMostCurves = 12;
  std::vector<Subject> parts = {subject};
  if (subject.rows.size() > kMostCurves) {
    for (std::size_t column = 0; column < subject.columns.size(); ++column) {
      std::vector<Subject> finer = split_by(subject, column);
      if (column != subject.task_column && finer.size() > parts.size()) parts = std::move(finer);
    }
  }
  std::vector<NamedPlot> out;
  for (const Subject& part : parts)
    if (auto plot = curve_plot(part)) out.push_back(std::move(*plot));
  return out;
}

std::optional<double> number_in(const std::string& text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// Where each row stands on an axis; rows without a value do not stand on it.
struct XAxis {
  std::string label;
  std::vector<std::optional<double>> values;

  std::size_t distinct() const {
    std::set<double> out;
    for (const auto& value : values)
      if (value) out.insert(*value);
    return out.size();
  }
};

std::optional<XAxis> number_axis(const Subject& subject, std::size_t column) {
  XAxis out{subject.columns[column].title, {}};
  for (const ResultRow* row : subject.rows) {
    const std::string& text = row->settings[column];
    out.values.push_back(number_in(text));
    if (!text.empty() && !out.values.back()) return std::nullopt;
  }
  return out.distinct() > 1 ? std::optional(out) : std::nullopt;
}

// A column that names sizes: each value is one number of parameters, and each number one value.
std::optional<XAxis> size_axis(const Subject& subject, std::size_t column) {
  XAxis out{"parameters of the model", {}};
  std::set<std::string> names;
  std::set<std::pair<std::string, double>> pairs;
  for (const ResultRow* row : subject.rows) {
    const auto size = static_cast<double>(row->record().base_parameters);
    names.insert(row->settings[column]);
    pairs.emplace(row->settings[column], size);
    out.values.emplace_back(size);
  }
  const bool one_to_one = pairs.size() == names.size() && pairs.size() == out.distinct();
  return one_to_one && names.size() > 1 ? std::optional(out) : std::nullopt;
}

std::optional<NamedPlot> by_axis(const Subject& subject, std::size_t column) {
  std::optional<XAxis> axis = number_axis(subject, column);
  if (!axis) axis = size_axis(subject, column);
  if (!axis) return std::nullopt;
  Plot plot = empty_plot(subject);
  plot.x_label = axis->label;
  plot.few_points = true;
  for (std::size_t i = 0; i < subject.rows.size(); ++i) {
    const ResultRow& row = *subject.rows[i];
    const std::string name = legend_of(row, subject, column);
    const Statistic score = row.score(row.runs.front().dev_split());
    if (!axis->values[i]) {
      add_level(row, name, plot);
    } else if (score.count > 0) {
      auto curve = std::ranges::find(plot.curves, name, &Curve::name);
      if (curve == plot.curves.end()) curve = plot.curves.insert(plot.curves.end(), {name, {}});
      curve->points.push_back(point_of(*axis->values[i], score));
    }
  }
  for (Curve& curve : plot.curves) std::ranges::sort(curve.points, {}, &PlotPoint::x);
  if (std::ranges::none_of(plot.curves, [](const Curve& curve) { return curve.points.size() > 1; }))
    return std::nullopt;
  add_majority(subject, plot);
  return NamedPlot{"by-" + subject.columns[column].title + subject.suffix, std::move(plot)};
}

std::vector<Subject> subjects_of(const std::string& title, const Results& results) {
  std::vector<std::pair<std::string, Rows>> tasks;
  for (const ResultRow& row : results.rows) {
    const std::string& task = row.record().task;
    auto found = std::ranges::find(tasks, task, &std::pair<std::string, Rows>::first);
    if (found == tasks.end()) found = tasks.insert(tasks.end(), {task, {}});
    found->second.push_back(&row);
  }
  std::vector<Subject> out;
  for (const auto& [task, rows] : tasks) {
    Subject subject{title, "", rows, results.columns, std::nullopt};
    for (std::size_t i = 0; i < results.columns.size(); ++i)
      if (results.columns[i].title == "task") subject.task_column = i;
    if (tasks.size() > 1) {
      subject.title += ": " + task;
      std::string name = task;
      std::ranges::replace(name, '/', '-');
      subject.suffix = "-" + name;
    }
    out.push_back(std::move(subject));
  }
  return out;
}

}  // namespace

std::vector<NamedPlot> results_plots(const std::string& title, const Results& results) {
  std::vector<NamedPlot> out;
  for (const Subject& subject : subjects_of(title, results)) {
    for (NamedPlot& plot : curves(subject)) out.push_back(std::move(plot));
    for (std::size_t column = 0; column < results.columns.size(); ++column)
      if (column != subject.task_column)
        if (auto plot = by_axis(subject, column)) out.push_back(std::move(*plot));
  }
  return out;
}

}  // namespace trimtab
