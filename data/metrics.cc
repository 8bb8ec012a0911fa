// SPDX-License-Identifier: Apache-2.0
#include "data/metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>

#include "runtime/check.h"

namespace trimtab {
namespace {

bool has(const Texts& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

double percent(double share) { return 100.0 * share; }

double f1_of_label(const Texts& predictions, const Texts& targets, const std::string& label) {
  double hits = 0, predicted = 0, wanted = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    predicted += predictions[i] == label;
    wanted += targets[i] == label;
    hits += predictions[i] == label && targets[i] == label;
  }
  return predicted + wanted == 0 ? 0 : 2 * hits / (predicted + wanted);
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> out(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i) out[order[i]] = 0.5 * static_cast<double>(begin + end - 1);
  }
  return out;
}

}  // namespace

void check_counts(std::size_t predictions, std::size_t targets) {
  if (predictions != targets) fail("score: there are {} predictions for {} examples", predictions, targets);
  if (predictions == 0) fail("score: there is nothing to score");
}

std::size_t count_invalid(const Texts& predictions, const Texts& labels) {
  return static_cast<std::size_t>(std::count_if(predictions.begin(), predictions.end(),
                                                [&](const auto& text) { return !has(labels, text); }));
}

double accuracy(const Texts& predictions, const Texts& targets) {
  check_counts(predictions.size(), targets.size());
  double right = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) right += predictions[i] == targets[i];
  return percent(right / static_cast<double>(targets.size()));
}

double f1_of_class(const Texts& predictions, const Texts& targets, const Texts& labels,
                   const std::string& positive) {
  check_counts(predictions.size(), targets.size());
  TT_CHECK(labels.size() == 2 && has(labels, positive), "F1 of class '{}' needs two labels, it among them",
           positive);
  Texts legal = predictions;
  for (std::size_t i = 0; i < legal.size(); ++i)
    if (!has(labels, legal[i])) legal[i] = targets[i] == labels[0] ? labels[1] : labels[0];
  return percent(f1_of_label(legal, targets, positive));
}

double macro_f1(const Texts& predictions, const Texts& targets, const Texts& labels) {
  check_counts(predictions.size(), targets.size());
  TT_CHECK(!labels.empty(), "macro F1 needs labels");
  double sum = 0;
  for (const std::string& label : labels) sum += f1_of_label(predictions, targets, label);
  return percent(sum / static_cast<double>(labels.size()));
}

double matthews(const Texts& predictions, const Texts& targets, const Texts& labels) {
  check_counts(predictions.size(), targets.size());
  const auto class_of = [&](const std::string& text) {
    return std::find(labels.begin(), labels.end(), text) - labels.begin();
  };
  std::map<std::ptrdiff_t, double> predicted, wanted;
  double hits = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto p = class_of(predictions[i]), t = class_of(targets[i]);
    ++predicted[p];
    ++wanted[t];
    hits += p == t;
  }
  const auto total = static_cast<double>(targets.size());
  double both = 0, predicted_squares = 0, wanted_squares = 0;
  for (const auto& [label, count] : predicted) {
    predicted_squares += count * count;
    both += count * wanted[label];
  }
  for (const auto& [label, count] : wanted) wanted_squares += count * count;
  const double spread =
      std::sqrt(total * total - predicted_squares) * std::sqrt(total * total - wanted_squares);
  return spread == 0 ? 0 : percent((hits * total - both) / spread);
}

double exact_groups(const Texts& predictions, const Texts& targets, const Texts& groups) {
  check_counts(predictions.size(), targets.size());
  check_counts(groups.size(), targets.size());
  std::map<std::string, bool> right;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    bool& all = right.try_emplace(groups[i], true).first->second;
    all = all && predictions[i] == targets[i];
  }
  const auto hits = std::count_if(right.begin(), right.end(), [](const auto& group) { return group.second; });
  return percent(static_cast<double>(hits) / static_cast<double>(right.size()));
}

std::optional<double> number_in(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\n\r\f\v");
  if (begin == std::string::npos) return std::nullopt;
  const std::size_t end = text.find_last_not_of(" \t\n\r\f\v") + 1;
  // from_chars knows no plus sign.
  const std::size_t first = begin + (text[begin] == '+' && text[begin + 1] != '-' ? 1 : 0);
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data() + first, text.data() + end, value);
  if (error != std::errc() || stop != text.data() + end || !std::isfinite(value)) return std::nullopt;
  return value;
}

double pearson(const std::vector<double>& predictions, const std::vector<double>& targets) {
  check_counts(predictions.size(), targets.size());
  const double p_mean = mean(predictions), t_mean = mean(targets);
  double both = 0, p_squares = 0, t_squares = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const double p = predictions[i] - p_mean, t = targets[i] - t_mean;
    both += p * t;
    p_squares += p * p;
    t_squares += t * t;
  }
  const double spread = std::sqrt(p_squares) * std::sqrt(t_squares);
  return spread == 0 ? 0 : percent(both / spread);
}

double spearman(const std::vector<double>& predictions, const std::vector<double>& targets) {
  return pearson(ranks(predictions), ranks(targets));
}

}  // namespace trimtab
