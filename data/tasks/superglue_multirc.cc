// SPDX-License-Identifier: Apache-2.0
//
// Text: t5/data/preprocessors.py, glue, which removes the markup of MultiRC; scores: t5/data/glue_utils.py.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "data/jsonl.h"
#include "data/labels.h"
#include "data/metrics.h"
#include "data/submission.h"
#include "data/tasks/superglue.h"

namespace trimtab {
namespace {

const std::vector<std::string> kWritten = {"0", "1"};

// <br> is a blank; <b> and </b> are nothing.
std::string without_markup(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("<br>")) out += ' ';
    const std::size_t tag = text.starts_with("<b>")                                ? 3
                            : text.starts_with("<br>") || text.starts_with("</b>") ? 4
                                                                                   : 0;
    if (tag == 0) out += text.front();
    text.remove_prefix(tag == 0 ? 1 : tag);
  }
  return out;
}

// The numbers of a record, "paragraph/question/answer".
std::array<std::string, 3> numbers_of(const TextExample& example) {
  const std::string record = record_of(example);
  const std::size_t first = record.find('/'), second = record.rfind('/');
  return {record.substr(0, first), record.substr(first + 1, second - first - 1), record.substr(second + 1)};
}

class MultiRc final : public PublishedTask {
 public:
  explicit MultiRc(PublishedOptions options)
      : PublishedTask(superglue_data("superglue/multirc", "MultiRC"), std::move(options)) {}

  std::vector<std::string> labels() const override { return {"False", "True"}; }

  // F1 over all answers; exact match of all answers of a question.
  Scores score(const Texts& predictions, const std::vector<TextExample>& examples) const override {
    const Texts targets = known_targets(examples);
    Texts questions;
    for (const TextExample& example : examples) questions.push_back(example.group);
    return mean_scores({{"f1a", f1_of_class(predictions, targets, labels(), "True")},
                        {"exact_match", exact_groups(predictions, targets, questions)}},
                       examples.size(), count_invalid(predictions, labels()));
  }

  // {"idx": paragraph, "passage": {"questions": [{"idx": question, "answers": [{"idx": ..., "label": 0}]}]}}.
  std::vector<Submission> submissions(const Texts& predictions,
                                      const std::vector<TextExample>& examples) const override {
    Submission file = begin_submission("MultiRC.jsonl", predictions, examples);
    file.invalid = count_invalid(predictions, labels());
    // The rows of a paragraph and of a question stand together.
    nlohmann::ordered_json paragraphs = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const auto [paragraph, question, answer] = numbers_of(examples[i]);
      if (paragraphs.empty() || paragraphs.back()["idx"] != json_value(paragraph))
        paragraphs.push_back(
            {{"idx", json_value(paragraph)}, {"passage", {{"questions", nlohmann::ordered_json::array()}}}});
      auto& questions = paragraphs.back()["passage"]["questions"];
      if (questions.empty() || questions.back()["idx"] != json_value(question))
        questions.push_back({{"idx", json_value(question)}, {"answers", nlohmann::ordered_json::array()}});
      questions.back()["answers"].push_back(
          {{"idx", json_value(answer)}, {"label", predictions[i] == "True" ? 1 : 0}});
    }
    for (const auto& paragraph : paragraphs) file.lines.push_back(paragraph.dump());
    return {file};
  }

 protected:
  void read(const TextFile& file, const std::string& split, const Add& add) const override {
    for_each_json_row(file, [&](const JsonRow& row) {
      const JsonRow passage = row.object("passage");
      const std::string paragraph = row.printed("idx"), text = passage.text("text");
      for (const JsonRow& question : passage.objects("questions")) {
        for (const JsonRow& answer : question.objects("answers")) {
          TextExample example;
          example.input = without_markup(fmt::format("question: {} answer: {} paragraph: {}",
                                                     question.text("question"), answer.text("text"), text));
          example.target = split == "test" && !answer.has("label") ? kNoLabel : target_of(answer);
          example.group = fmt::format("{}/{}", paragraph, question.printed("idx"));
          example.id = fmt::format("{}/{}/{}", split, example.group, answer.printed("idx"));
          add(std::move(example));
        }
      }
    });
  }

 private:
  static std::string target_of(const JsonRow& answer) {
    return check_label(answer.printed("label"), kWritten, answer.place()) == "1" ? "True" : "False";
  }
};

}  // namespace

std::unique_ptr<Task> make_multirc(PublishedOptions options) {
  return std::make_unique<MultiRc>(std::move(options));
}

}  // namespace trimtab
