// SPDX-License-Identifier: Apache-2.0
#include "data/answer_metrics.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>

#include "data/unicode.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

Texts words_of(std::string_view text) {
  Texts words;
  bool open = false;
  while (!text.empty()) {
    const std::string_view before = text;
    if (is_space(take_code_point(text))) {
      open = false;
      continue;
    }
    if (!open) words.emplace_back();
    open = true;
    words.back() += before.substr(0, before.size() - text.size());
  }
  return words;
}

bool is_article(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

// Articles between any two characters that are not part of a word, as in "rock-the-boat" or "(a)".
std::string without_articles(std::string_view text) {
  std::string out, word;
  const auto end_word = [&] {
    out += is_article(word) ? " " : word;
    word.clear();
  };
  while (!text.empty()) {
    const std::string_view before = text;
    const bool in_word = is_word(take_code_point(text));
    if (!in_word) end_word();
    (in_word ? word : out) += before.substr(0, before.size() - text.size());
  }
  end_word();
  return out;
}

double word_f1(const std::string& prediction, const std::string& reference) {
  const Texts predicted = words_of(prediction), wanted = words_of(reference);
  std::map<std::string, int> left;
  for (const std::string& word : wanted) ++left[word];
  double hits = 0;
  for (const std::string& word : predicted) hits += left[word]-- > 0;
  return hits == 0 ? 0 : 2 * hits / static_cast<double>(predicted.size() + wanted.size());
}

double mean_of_best(const Texts& predictions, const std::vector<Texts>& references,
                    const std::function<double(const std::string&, const std::string&)>& value) {
  check_counts(predictions.size(), references.size());
  double sum = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    if (references[i].empty()) fail("score: example {} has no reference answer", i);
    const std::string prediction = normalize_answer(predictions[i]);
    double best = 0;
    for (const std::string& reference : references[i])
      best = std::max(best, value(prediction, normalize_answer(reference)));
    sum += best;
  }
  return 100.0 * sum / static_cast<double>(predictions.size());
}

// Lower case, without determiners; words are cut at each blank, so that two in a row leave an empty word, and
// nothing at all is one empty word.
std::set<std::string> referent_words(std::string_view text) {
  static constexpr std::array kDeterminers = {"a",     "an",    "few",  "her",   "his",   "each",  "every",
                                              "many",  "much",  "my",   "our",   "some",  "that",  "the",
                                              "their", "these", "this", "those", "which", "whose", "your"};
  const std::string lower = to_lower(text);
  std::string_view rest = lower;
  constexpr std::string_view kBlank = " \t\n\r\f\v";
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(kBlank)));
  rest = rest.substr(0, rest.find_last_not_of(kBlank) + 1);
  std::set<std::string> words;
  while (true) {
    const std::size_t blank = rest.find(' ');
    const std::string_view word = rest.substr(0, blank);
    if (std::find(kDeterminers.begin(), kDeterminers.end(), word) == kDeterminers.end()) words.emplace(word);
    if (blank == std::string_view::npos) break;
    rest.remove_prefix(blank + 1);
  }
  if (words.empty()) words.emplace();
  return words;
}

}  // namespace

std::string normalize_answer(std::string_view text) {
  const std::string lower = to_lower(text);
  std::string bare;
  std::copy_if(lower.begin(), lower.end(), std::back_inserter(bare),
               [](char c) { return !is_punctuation(static_cast<unsigned char>(c)); });
  std::string out;
  for (const std::string& word : words_of(without_articles(bare))) out += (out.empty() ? "" : " ") + word;
  return out;
}

double exact_match(const Texts& predictions, const std::vector<Texts>& references) {
  return mean_of_best(predictions, references,
                      [](const std::string& a, const std::string& b) { return a == b ? 1.0 : 0.0; });
}

double token_f1(const Texts& predictions, const std::vector<Texts>& references) {
  return mean_of_best(predictions, references, word_f1);
}

std::optional<bool> names_referent(std::string_view prediction, std::string_view referent) {
  const std::set<std::string> predicted = referent_words(prediction), wanted = referent_words(referent);
  if (predicted == std::set<std::string>{""}) return std::nullopt;
  const auto has_apostrophe = [](const std::set<std::string>& words) {
    return std::any_of(words.begin(), words.end(),
                       [](const std::string& word) { return word.find('\'') != std::string::npos; });
  };
  if (has_apostrophe(predicted) != has_apostrophe(wanted)) return false;
  return std::includes(wanted.begin(), wanted.end(), predicted.begin(), predicted.end()) ||
         std::includes(predicted.begin(), predicted.end(), wanted.begin(), wanted.end());
}

}  // namespace trimtab
