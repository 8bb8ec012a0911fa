// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/squad.h"

#include <fmt/format.h>

#include "data/jsonl.h"
#include "data/unicode.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Answers as the files of SQuAD hold them.
std::vector<std::string> answers_of(const JsonRow& question) {
  std::vector<std::string> answers;
  for (const JsonRow& answer : question.objects("answers")) answers.push_back(answer.text("text"));
  if (answers.empty()) fail("{}: question '{}' has no answer", question.place(), question.printed("id"));
  return answers;
}

class Squad final : public PublishedTask {
 public:
  using PublishedTask::PublishedTask;

  std::vector<std::string> labels() const override { return {}; }
  std::string prefix() const override { return "squad"; }

 protected:
  void read(const TextFile& file, const std::string& split, const Add& add) const override {
    const nlohmann::json document = parse_json_document(file);
    for (const JsonRow& article : JsonRow(document, file.name).objects("data")) {
      for (const JsonRow& paragraph : article.objects("paragraphs")) {
        const std::string context = paragraph.text("context");
        for (const JsonRow& question : paragraph.objects("qas")) {
          TextExample example = question_example(question.text("question"), context, answers_of(question));
          example.id = split + "/" + question.printed("id");
          add(std::move(example));
        }
      }
    }
  }
};

}  // namespace

std::string pad_punctuation(std::string_view text) {
  std::string out;
  const auto add = [&](char c) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
    if (!blank)
      out += c;
    else if (out.empty() || out.back() != ' ')
      out += ' ';
  };
  for (const char c : text) {
    const bool mark = is_punctuation(static_cast<unsigned char>(c));
    if (mark) add(' ');
    add(c);
    if (mark) add(' ');
  }
  return out;
}

TextExample question_example(const std::string& question, const std::string& context,
                             const std::vector<std::string>& answers) {
  TextExample example;
  const std::string padded_question = pad_punctuation(question), padded_context = pad_punctuation(context);
  // A text that begins or ends with punctuation brings a blank of its own.
  const auto apart = [](std::string_view before, std::string_view after) {
    return before.ends_with(' ') || after.starts_with(' ') ? "" : " ";
  };
  example.input = "question:";
  for (const std::string& piece : {padded_question, std::string("context:"), padded_context}) {
    std::string_view rest = piece;
    if (example.input.ends_with(' ') && rest.starts_with(' ')) rest.remove_prefix(1);
    example.input.append(apart(example.input, rest)).append(rest);
  }
  for (const std::string& answer : answers) example.references.push_back(pad_punctuation(answer));
  example.target = example.references.front();
  example.references.erase(example.references.begin());
  return example;
}

std::unique_ptr<Task> make_squad(PublishedOptions options) {
  return std::make_unique<Squad>(DataSet{"squad/v1.1",
                                         {"", "https://rajpurkar.github.io/SQuAD-explorer/"},
                                         {{"train", {"train-v1.1.json"}}, {"validation", {"dev-v1.1.json"}}}},
                                 std::move(options));
}

std::unique_ptr<Task> make_squad_shifts(ShiftsOptions options) {
  DataSet data{"squad/shifts",
               {"squadshifts", "https://modestyachts.github.io/squadshifts-website/"},
               {{"validation", {options.set + "_v1.0.json"}}}};
  return std::make_unique<Squad>(std::move(data), static_cast<PublishedOptions&&>(options));
}

}  // namespace trimtab
