// SPDX-License-Identifier: Apache-2.0
#include "experiments/prompt_analysis.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/check.h"

namespace trimtab {
namespace {

at::Tensor as_tensor(const std::vector<float>& values, std::int64_t width) {
  return at::from_blob(const_cast<float*>(values.data()),
                       {static_cast<std::int64_t>(values.size()) / width, width}, at::kFloat);
}

at::Tensor matrix(const PromptMatrix& prompt) {
  return as_tensor(prompt.values, prompt.shape.at(1)).to(at::kDouble);
}

at::Tensor unit_rows(const at::Tensor& x) {
  constexpr double kTiny = 1e-30;
  return x / x.norm(2, {1}, true).clamp_min(kTiny);
}

std::vector<double> numbers(const at::Tensor& x) {
  const at::Tensor whole = x.to(at::kDouble).contiguous();
  const double* data = whole.const_data_ptr<double>();
  return {data, data + whole.numel()};
}

std::string named(const PromptMatrix& prompt) {
  return fmt::format("{} [{}]", prompt.name, fmt::join(prompt.shape, ", "));
}

}  // namespace

PromptNorms norms_of(const PromptMatrix& prompt) {
  const at::Tensor x = matrix(prompt);
  PromptNorms out;
  out.rows = numbers(x.norm(2, {1}));
  out.deviation = x.std(/*unbiased=*/false).item<double>();
  const auto [least, greatest] = std::ranges::minmax(out.rows);
  out.least = least;
  out.greatest = greatest;
  for (const double norm : out.rows) out.mean += norm / static_cast<double>(out.rows.size());
  return out;
}

std::vector<SharedNeighbour> shared_neighbours(const std::vector<std::vector<Neighbour>>& nearest) {
  std::map<std::int64_t, std::vector<std::size_t>> rows;
  for (std::size_t row = 0; row < nearest.size(); ++row)
    for (const Neighbour& neighbour : nearest[row]) rows[neighbour.id].push_back(row);
  std::vector<SharedNeighbour> out;
  for (auto& [id, of_piece] : rows)
    if (of_piece.size() > 1) out.push_back({id, std::move(of_piece)});
  std::ranges::stable_sort(out, std::ranges::greater(),
                           [](const SharedNeighbour& piece) { return piece.rows.size(); });
  return out;
}

std::size_t distinct_nearest(const std::vector<std::vector<Neighbour>>& nearest) {
  std::set<std::int64_t> ids;
  for (const auto& of_row : nearest)
    if (!of_row.empty()) ids.insert(of_row.front().id);
  return ids.size();
}

std::vector<LabelHit> label_hits(const PromptMatrix& prompt, const std::vector<float>& table,
                                 const std::vector<LabelPieces>& labels, std::size_t count) {
  const at::Tensor embeddings = as_tensor(table, prompt.shape.at(1));
  const at::Tensor rows = unit_rows(as_tensor(prompt.values, prompt.shape.at(1)));
  const at::Tensor cosines = at::matmul(rows, unit_rows(embeddings).t());
  std::vector<LabelHit> out;
  for (const LabelPieces& label : labels) {
    TT_CHECK(!label.ids.empty(), "the label '{}' has no pieces", label.label);
    const at::Tensor ids = at::tensor(at::ArrayRef<std::int64_t>(label.ids), at::kLong);
    // One piece is not nearer to a row than itself, whatever the rounding.
    const at::Tensor own =
        label.ids.size() == 1
            ? cosines.select(1, label.ids.front())
            : at::matmul(rows, unit_rows(embeddings.index_select(0, ids).mean(0, true)).t()).squeeze(1);
    const at::Tensor places = cosines.gt(own.unsqueeze(1)).sum(1) + 1;
    LabelHit hit;
    hit.label = label.label;
    for (std::int64_t row = 0; row < places.size(0); ++row) {
      const auto place = places[row].item<std::int64_t>();
      const auto cosine = own[row].item<double>();
      if (place <= static_cast<std::int64_t>(count)) hit.rows.push_back(static_cast<std::size_t>(row));
      if (hit.place != 0 && (place > hit.place || (place == hit.place && cosine <= hit.cosine))) continue;
      hit.best_row = static_cast<std::size_t>(row);
      hit.place = place;
      hit.cosine = cosine;
    }
    out.push_back(std::move(hit));
  }
  return out;
}

std::size_t labels_hit(const std::vector<LabelHit>& hits) {
  return static_cast<std::size_t>(
      std::ranges::count_if(hits, [](const LabelHit& hit) { return !hit.rows.empty(); }));
}

PromptLikeness likeness(const PromptMatrix& a, const PromptMatrix& b) {
  if (a.shape.at(1) != b.shape.at(1))
    fail_config("{} and {}: prompts of different widths, so of different models, cannot be compared",
                named(a), named(b));
  const at::Tensor x = matrix(a), y = matrix(b);
  const at::Tensor cosines = at::matmul(unit_rows(x), unit_rows(y).t());
  const at::Tensor best = at::cat({cosines.amax({1}), cosines.amax({0})});
  return {at::matmul(unit_rows(x.mean(0, true)), unit_rows(y.mean(0, true)).t()).item<double>(),
          best.mean().item<double>()};
}

PromptMovement movement(const PromptMatrix& prompt, const PromptMatrix& start) {
  if (prompt.shape != start.shape)
    fail_config("{} cannot have begun as {}: their shapes differ", named(prompt), named(start));
  const at::Tensor x = matrix(prompt), y = matrix(start);
  PromptMovement out;
  out.start_norm = y.norm().item<double>();
  out.distance = (x - y).norm().item<double>();
  out.rows = numbers((x - y).norm(2, {1}));
  out.cosines = numbers((unit_rows(x) * unit_rows(y)).sum(1));
  return out;
}

std::optional<double> recorded_movement(const std::string& metrics, std::int64_t step) {
  std::ifstream file(metrics);
  std::optional<double> out;
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (row.is_object() && row.value("kind", "") == "train" && row.value("step", std::int64_t{-1}) == step &&
        row.contains("moved") && row["moved"].is_number())
      out = row["moved"].get<double>();
  }
  return out;
}

}  // namespace trimtab
