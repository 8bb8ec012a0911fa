// SPDX-License-Identifier: Apache-2.0
#include "experiments/ensemble_table.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/check.h"

namespace trimtab {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kColumns = {"average", "best", "ensemble"};

Json read_scores(const std::string& path) {
  std::ifstream file(path);
  const Json json = Json::parse(file, nullptr, false);
  if (!json.is_object() || !json.contains("ensemble") || !json["ensemble"].contains("metrics"))
    fail("{}: holds no scores of an ensemble; write it with `trimtab evaluate ... --ensemble --format json`",
         path);
  return json;
}

std::string shown(double value) { return fmt::format("{:.1f}", value); }

}  // namespace

std::vector<Cells> ensemble_lines(const std::vector<std::string>& files) {
  std::vector<Cells> lines = {{"dataset", "metric", kColumns[0], kColumns[1], kColumns[2]}};
  std::array<double, kColumns.size()> sums{};
  for (const std::string& path : files) {
    const Json scores = read_scores(path);
    for (const auto& [metric, unused] : scores["ensemble"]["metrics"].items()) {
      Cells line = {std::filesystem::path(path).stem().string(), metric};
      for (const char* column : kColumns)
        line.push_back(shown(scores[column]["metrics"][metric].get<double>()));
      lines.push_back(std::move(line));
    }
    for (std::size_t i = 0; i < kColumns.size(); ++i) sums[i] += scores[kColumns[i]]["score"].get<double>();
  }
  Cells mean = {"all", "mean"};
  for (const double sum : sums) mean.push_back(shown(sum / static_cast<double>(files.size())));
  lines.push_back(std::move(mean));
  return lines;
}

}  // namespace trimtab
