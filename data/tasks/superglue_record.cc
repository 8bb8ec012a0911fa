// SPDX-License-Identifier: Apache-2.0
//
// Text: t5/data/preprocessors.py, record; entities and answers: tensorflow_datasets' super_glue (version
// 1.0.2), whose sets are sorted. Scores: t5/data/glue_utils.py, over the first example of each question.
#include <fmt/ranges.h>

#include <set>

#include "data/answer_metrics.h"
#include "data/jsonl.h"
#include "data/labels.h"
#include "data/submission.h"
#include "data/tasks/superglue.h"
#include "data/unicode.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// A highlight becomes a sentence of its own; one that follows a full stop needs none.
std::string with_highlights(std::string_view text) {
  constexpr std::string_view kMark = "\n@highlight\n";
  std::string out;
  for (std::size_t at = text.find(kMark); at != std::string_view::npos; at = text.find(kMark)) {
    out += text.substr(0, at);
    const bool ended = at > 0 && std::string_view(".?!\"'").find(text[at - 1]) != std::string_view::npos;
    out += ended ? " " : ". ";
    text.remove_prefix(at + kMark.size());
  }
  return out.append(text);
}

std::size_t position(const JsonRow& row, const std::string& field) {
  const nlohmann::json& value = row.at(field);
  if (!value.is_number_unsigned())
    fail("{}: field '{}' should be a position in the text, but is {}", row.place(), field, value.dump());
  return value.get<std::size_t>();
}

// What the entities' spans say: code points, the last one included.
std::set<std::string> entities_of(const JsonRow& passage, const std::string& text) {
  std::set<std::string> entities;
  for (const JsonRow& entity : passage.objects("entities")) {
    const std::size_t begin = byte_of_code_point(text, position(entity, "start"));
    const std::size_t end = byte_of_code_point(text, position(entity, "end") + 1);
    if (begin >= end)
      fail("{}: an entity's span ({} to {}) is empty or outside of the text", entity.place(),
           position(entity, "start"), position(entity, "end"));
    entities.insert(text.substr(begin, end - begin));
  }
  return entities;
}

std::vector<std::string> answers_of(const JsonRow& question) {
  std::set<std::string> answers;
  if (question.has("answers"))
    for (const JsonRow& answer : question.objects("answers")) answers.insert(answer.text("text"));
  return {answers.begin(), answers.end()};
}

// Some copies of the data number a question {"passage": 3, "query": 5}.
std::string number_of(const JsonRow& question) {
  return question.at("idx").is_object() ? question.object("idx").printed("query") : question.printed("idx");
}

class Record final : public PublishedTask {
 public:
  explicit Record(PublishedOptions options)
      : PublishedTask(superglue_data("superglue/record", "ReCoRD"), std::move(options)) {}

  std::vector<std::string> labels() const override { return {}; }
  std::vector<std::string> prompt_words() const override {
    return {"commonsense", "reasoning", "reading", "comprehension"};
  }

  Scores score(const Texts& predictions, const std::vector<TextExample>& examples) const override {
    check_counts(predictions.size(), examples.size());
    Texts first;
    std::vector<TextExample> questions;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < examples.size(); ++i) {
      if (!is_labelled(examples[i]))
        fail("task {}: example '{}' has no answer, so that it cannot be scored", name(), examples[i].id);
      if (!seen.insert(examples[i].group).second) continue;
      first.push_back(predictions[i]);
      questions.push_back(examples[i]);
    }
    const std::vector<Texts> answers = right_answers(questions);
    return mean_scores({{"exact_match", exact_match(first, answers)}, {"f1", token_f1(first, answers)}},
                       questions.size(), 0);
  }

  std::vector<Submission> submissions(const Texts& predictions,
                                      const std::vector<TextExample>& examples) const override {
    Submission file = begin_submission("ReCoRD.jsonl", predictions, examples);
    std::set<std::string> seen;
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const std::string& group = examples[i].group;
      if (!seen.insert(group).second) continue;
      file.lines.push_back(
          json_line({{"idx", json_value(group.substr(group.find('/') + 1))}, {"label", predictions[i]}}));
    }
    return {file};
  }

 protected:
  void read(const TextFile& file, const std::string& split, const Add& add) const override {
    for_each_json_row(file, [&](const JsonRow& row) {
      const JsonRow passage = row.object("passage");
      const std::string text = passage.text("text");
      const std::string context = fmt::format(
          "entities: {} passage: {}", fmt::join(entities_of(passage, text), ", "), with_highlights(text));
      for (const JsonRow& question : row.objects("qas")) {
        const std::vector<std::string> answers = answers_of(question);
        if (answers.empty() && split != "test") fail("{}: a question has no answer", question.place());
        TextExample example;
        example.input = fmt::format("query: {} {}", question.text("query"), context);
        example.group = fmt::format("{}/{}", row.printed("idx"), number_of(question));
        const std::size_t copies = split == "train" ? answers.size() : 1;
        for (std::size_t i = 0; i < copies; ++i) add(with_target(example, answers, i, split));
      }
    });
  }

 private:
  static TextExample with_target(TextExample example, const std::vector<std::string>& answers, std::size_t i,
                                 const std::string& split) {
    example.id = fmt::format("{}/{}", split, example.group);
    if (split == "train") example.id += fmt::format("/{}", i);
    example.references = answers;
    example.target = kNoLabel;
    if (!answers.empty()) {
      example.target = answers[i];
      example.references.erase(example.references.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return example;
  }
};

}  // namespace

std::unique_ptr<Task> make_record(PublishedOptions options) {
  return std::make_unique<Record>(std::move(options));
}

}  // namespace trimtab
