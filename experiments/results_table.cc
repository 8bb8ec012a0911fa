// SPDX-License-Identifier: Apache-2.0
#include "experiments/results_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "runtime/atomic_file.h"

namespace trimtab {
namespace {

// The metric of every row, or "" if they differ.
std::string common_metric(const Results& results) {
  std::set<std::string> names;
  for (const ResultRow& row : results.rows)
    for (const auto& scores : row.record().scores) names.insert(scores.second.main);
  return names.size() == 1 ? *names.begin() : "";
}

std::string metric_of(const ResultRow& row) {
  const auto& scores = row.record().scores;
  const auto found = scores.find(row.runs.front().dev_split());
  return found == scores.end() ? scores.begin()->second.main : found->second.main;
}

std::string or_dash(std::string text) { return text.empty() ? "-" : std::move(text); }

std::string score_text(const Statistic& score) {
  if (score.count == 0) return "-";
  return score.count == 1 ? fmt::format("{:.2f}", score.mean)
                          : fmt::format("{:.2f} ± {:.2f}", score.mean, score.deviation);
}

std::string plain_number(double value) {
  return value == static_cast<double>(static_cast<std::int64_t>(value)) ? fmt::format("{:.0f}", value)
                                                                        : fmt::format("{:.1f}", value);
}

// Parts of the table that only some results have.
struct Shape {
  std::string metric;
  bool majority = false;

  explicit Shape(const Results& results)
      : metric(common_metric(results)), majority(std::ranges::any_of(results.rows, [](const ResultRow& row) {
          return row.majority().has_value();
        })) {}
};

Cells header(const Results& results, const Shape& shape) {
  Cells out;
  for (const ResultColumn& column : results.columns) out.push_back(column.title);
  if (shape.metric.empty()) out.emplace_back("metric");
  out.emplace_back("runs");
  for (const std::string& split : results.splits)
    out.push_back(shape.metric.empty() ? split : fmt::format("{} {}", split, shape.metric));
  if (shape.majority) out.emplace_back("majority class");
  for (const char* rest : {"trained parameters", "share of the model", "seconds", "peak memory", "no label"})
    out.emplace_back(rest);
  return out;
}

Cells cells(const ResultRow& row, const Results& results, const Shape& shape) {
  Cells out;
  for (const std::string& setting : row.settings) out.push_back(or_dash(setting));
  if (shape.metric.empty()) out.push_back(metric_of(row));
  out.push_back(std::to_string(row.runs.size()));
  for (const std::string& split : results.splits) out.push_back(score_text(row.score(split)));
  if (shape.majority) out.push_back(row.majority() ? fmt::format("{:.2f}", *row.majority()) : "-");
  out.push_back(std::to_string(row.record().trained_parameters));
  out.push_back(fmt::format("{:.4f} %", row.record().share_percent()));
  out.push_back(fmt::format("{:.0f}", row.seconds()));
  out.push_back(readable_bytes(row.peak_memory()));
  out.push_back(plain_number(row.invalid()));
  return out;
}

std::string csv(const Results& results) {
  Cells head;
  for (const ResultColumn& column : results.columns) head.push_back(column.key);
  head.insert(head.end(), {"metric", "runs"});
  for (const std::string& split : results.splits)
    head.insert(head.end(), {split + "_mean", split + "_deviation"});
  head.insert(head.end(), {"majority_class", "trained_parameters", "share_percent", "seconds",
                           "peak_memory_bytes", "no_label"});
  std::string out = csv_line(head);
  for (const ResultRow& row : results.rows) {
    Cells line = row.settings;
    line.insert(line.end(), {metric_of(row), std::to_string(row.runs.size())});
    for (const std::string& split : results.splits) {
      const Statistic score = row.score(split);
      line.push_back(score.count == 0 ? "" : fmt::format("{}", score.mean));
      line.push_back(score.count < 2 ? "" : fmt::format("{}", score.deviation));
    }
    line.push_back(row.majority() ? fmt::format("{}", *row.majority()) : "");
    line.push_back(std::to_string(row.record().trained_parameters));
    line.push_back(fmt::format("{}", row.record().share_percent()));
    line.push_back(fmt::format("{:.3f}", row.seconds()));
    line.push_back(std::to_string(row.peak_memory()));
    line.push_back(fmt::format("{}", row.invalid()));
    out += csv_line(line);
  }
  return out;
}

}  // namespace

std::string results_table(const Results& results, TableFormat format) {
  if (format == TableFormat::kCsv) return csv(results);
  const Shape shape(results);
  std::vector<Cells> lines = {header(results, shape)};
  for (const ResultRow& row : results.rows) lines.push_back(cells(row, results, shape));
  const std::size_t left = results.columns.size() + (shape.metric.empty() ? 1 : 0);
  return aligned_table(lines, left, format == TableFormat::kMarkdown);
}

}  // namespace trimtab
