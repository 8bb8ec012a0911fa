// SPDX-License-Identifier: Apache-2.0
//
// Layout: https://github.com/mrqa/MRQA-Shared-Task-2019. Text: prompt_tuning/data/preprocessors.py, mrqa,
// whose target is the first of all accepted answers.
#include "data/tasks/mrqa.h"

#include "data/jsonl.h"
#include "data/tasks/squad.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

DataSet data_of(const std::string& set) {
  if (set.empty()) fail_config("task mrqa: set should name the file of the data set, as in BioASQ");
  const std::string file = set + ".jsonl";
  return {"mrqa",
          {"",
           "https://s3.us-east-2.amazonaws.com/mrqa/release/v2/ (BioASQ at "
           "http://participants-area.bioasq.org/MRQA2019/)"},
          {{"train", {"train/" + file}}, {"validation", {"dev/" + file, file}}}};
}

class Mrqa final : public PublishedTask {
 public:
  using PublishedTask::PublishedTask;

  std::vector<std::string> labels() const override { return {}; }
  std::string prefix() const override { return "squad"; }

 protected:
  void read(const TextFile& file, const std::string& split, const Add& add) const override {
    for_each_json_row(file, [&](const JsonRow& row) {
      if (row.has("header")) return;
      const std::string context = row.text("context");
      for (const JsonRow& question : row.objects("qas")) {
        TextExample example = question_example(question.text("question"), context, question.texts("answers"));
        example.id = split + "/" + question.printed("qid");
        add(std::move(example));
      }
    });
  }
};

}  // namespace

std::unique_ptr<Task> make_mrqa(MrqaOptions options) {
  DataSet data = data_of(options.set);
  return std::make_unique<Mrqa>(std::move(data), static_cast<PublishedOptions&&>(options));
}

}  // namespace trimtab
