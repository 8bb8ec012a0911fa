// SPDX-License-Identifier: Apache-2.0
//
// Text: t5/data/preprocessors.py, wsc_simple, on tensorflow_datasets' super_glue/wsc.fixed, which mends spans
// that are not part of the text. Scores: t5/data/postprocessors.py, wsc_simple.
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "data/answer_metrics.h"
#include "data/jsonl.h"
#include "data/labels.h"
#include "data/submission.h"
#include "data/tasks/superglue.h"
#include "data/unicode.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

std::vector<std::string> split_at_blanks(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
    end = text.find(' ', begin);
    words.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
  }
  return words;
}

struct Span {
  std::string text;
  std::size_t index = 0;  // of its first word
};

Span span_of(const JsonRow& target, const std::string& which) {
  const nlohmann::json& index = target.at(which + "_index");
  if (!index.is_number_unsigned())
    fail("{}: field '{}_index' should be the number of a word, but is {}", target.place(), which,
         index.dump());
  return {target.text(which + "_text"), index.get<std::size_t>()};
}

// Spans differ from the text in the case of their first letter, a full stop, or a line end for a blank. Two
// of the test split name people whose names stand apart in the text; they are used as they are.
std::string mended(const Span& span, const std::string& text) {
  if (span.text.empty() || text.find(span.text) != std::string::npos) return span.text;
  std::istringstream in(text);
  std::string word;
  for (std::size_t i = 0; i <= span.index && in >> word; ++i) continue;
  std::string out = span.text;
  const bool lower = !word.empty() && word[0] >= 'a' && word[0] <= 'z';
  if (lower && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] - 'A' + 'a');
  if (!lower && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  out.erase(out.find_last_not_of('.') + 1);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return text.find(out) != std::string::npos ? out : span.text;
}

// The pronoun in stars. In two texts of the data the number of its word is off by one, or punctuation sticks
// to it: it becomes a word of its own.
std::string starred(const Span& pronoun, const std::string& text, const std::string& place) {
  std::vector<std::string> words = split_at_blanks(text);
  for (std::size_t i = pronoun.index; i < std::min(pronoun.index + 2, words.size()); ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with(pronoun.text)) continue;
    const std::string tail(word.substr(pronoun.text.size()));
    const auto is_mark = [](char c) { return is_punctuation(static_cast<unsigned char>(c)); };
    if (!std::all_of(tail.begin(), tail.end(), is_mark)) continue;
    words[i] = fmt::format("*{}*{}{}", pronoun.text, tail.empty() ? "" : " ", tail);
    return fmt::format("{}", fmt::join(words, " "));
  }
  fail("{}: the pronoun '{}' should be word {} of the text", place, pronoun.text, pronoun.index);
}

class Wsc final : public PublishedTask {
 public:
  explicit Wsc(PublishedOptions options)
      : PublishedTask(superglue_data("superglue/wsc", "WSC"), std::move(options)) {}

  std::vector<std::string> labels() const override { return {}; }
  std::vector<std::string> prompt_words() const override { return {"commonsense", "pronoun", "resolution"}; }
  std::string prefix() const override { return "wsc:"; }

  Scores score(const Texts& predictions, const std::vector<TextExample>& examples) const override {
    check_counts(predictions.size(), examples.size());
    std::size_t invalid = 0;
    Texts answers, labels;
    for (std::size_t i = 0; i < examples.size(); ++i) {
      if (examples[i].label != "True" && examples[i].label != "False")
        fail("task {}: example '{}' has no label, so that it cannot be scored", name(), examples[i].id);
      const auto named = names_referent(predictions[i], examples[i].target);
      invalid += named ? 0 : 1;
      answers.emplace_back(!named ? "" : *named ? "True" : "False");
      labels.push_back(examples[i].label);
    }
    return mean_scores({{"accuracy", accuracy(answers, labels)}}, examples.size(), invalid);
  }

  std::vector<Submission> submissions(const Texts& predictions,
                                      const std::vector<TextExample>& examples) const override {
    Submission file = begin_submission("WSC.jsonl", predictions, examples);
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const auto named = names_referent(predictions[i], examples[i].target);
      file.invalid += named ? 0 : 1;
      add_submitted(file, record_of(examples[i]), named.value_or(false) ? "True" : "False");
    }
    return {file};
  }

 protected:
  void read(const TextFile& file, const std::string& split, const Add& add) const override {
    for_each_json_row(file, [&](const JsonRow& row) {
      TextExample example;
      const JsonRow target = row.object("target");
      const std::string text = row.text("text");
      example.input = starred(span_of(target, "span2"), text, row.place());
      example.target = mended(span_of(target, "span1"), text);
      example.label = split == "test" && !row.has("label")
                          ? kNoLabel
                          : check_label(row.printed("label"), {"False", "True"}, row.place());
      example.id = split + "/" + row.printed("idx");
      if (example.target.empty()) fail("{}: field 'span1_text' is empty", row.place());
      // A wrong referent is nothing to learn.
      if (split != "train" || example.label == "True") add(std::move(example));
    });
  }
};

}  // namespace

std::unique_ptr<Task> make_wsc(PublishedOptions options) { return std::make_unique<Wsc>(std::move(options)); }

}  // namespace trimtab
