// SPDX-License-Identifier: Apache-2.0
#include "data/metrics.h"

#include <algorithm>
#include <functional>
#include <map>
#include <sstream>

#include "runtime/check.h"

namespace trimtab {
namespace {

void check_counts(std::size_t predictions, std::size_t targets) {
  if (predictions != targets) fail("score: there are {} predictions for {} examples", predictions, targets);
  if (predictions == 0) fail("score: there is nothing to score");
}

bool has(const Texts& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

double percent(double share) { return 100.0 * share; }

double f1(double hits, double predicted, double wanted) {
  return predicted + wanted == 0 ? 0 : 2 * hits / (predicted + wanted);
}

double f1_of_label(const Texts& predictions, const Texts& targets, const std::string& label) {
  double hits = 0, predicted = 0, wanted = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    predicted += predictions[i] == label;
    wanted += targets[i] == label;
    hits += predictions[i] == label && targets[i] == label;
  }
  return f1(hits, predicted, wanted);
}

bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

Texts words_of(const std::string& text) {
  std::istringstream in(text);
  Texts words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

double word_f1(const std::string& prediction, const std::string& reference) {
  const Texts predicted = words_of(normalize_answer(prediction)),
              wanted = words_of(normalize_answer(reference));
  std::map<std::string, int> left;
  for (const std::string& word : wanted) ++left[word];
  double hits = 0;
  for (const std::string& word : predicted) hits += left[word]-- > 0;
  return f1(hits, static_cast<double>(predicted.size()), static_cast<double>(wanted.size()));
}

double mean_of_best(const Texts& predictions, const std::vector<Texts>& references,
                    const std::function<double(const std::string&, const std::string&)>& value) {
  check_counts(predictions.size(), references.size());
  double sum = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    if (references[i].empty()) fail("score: example {} has no reference answer", i);
    double best = 0;
    for (const std::string& reference : references[i])
      best = std::max(best, value(predictions[i], reference));
    sum += best;
  }
  return percent(sum / static_cast<double>(predictions.size()));
}

}  // namespace

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

std::string normalize_answer(std::string_view text) {
  std::string bare;
  for (const char c : text) {
    if (is_ascii_punctuation(c)) continue;
    bare += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  std::string out;
  for (const std::string& word : words_of(bare)) {
    if (word == "a" || word == "an" || word == "the") continue;
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

double exact_match(const Texts& predictions, const std::vector<Texts>& references) {
  return mean_of_best(predictions, references, [](const std::string& a, const std::string& b) {
    return normalize_answer(a) == normalize_answer(b) ? 1.0 : 0.0;
  });
}

double token_f1(const Texts& predictions, const std::vector<Texts>& references) {
  return mean_of_best(predictions, references, word_f1);
}

}  // namespace trimtab
