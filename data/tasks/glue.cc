// SPDX-License-Identifier: Apache-2.0
//
// Field order, labels and class order: t5/data/glue_utils.py, t5/data/preprocessors.py (glue) and
// tensorflow_datasets' glue. Names of files and labels for the server: https://gluebenchmark.com/faq.
#include "data/tasks/glue.h"

namespace trimtab {
namespace {

const std::vector<std::string> kDigits = {"0", "1"};

ClassTask task(const std::string& name, const std::string& folder, const std::string& archive = "") {
  ClassTask out;
  out.data = glue_data("glue/" + name, folder, archive.empty() ? folder + ".zip" : archive);
  out.submission = folder + ".tsv";
  return out;
}

// Labels that the files and the server write as numbers.
void number_labels(ClassTask& out, std::vector<std::string> labels) {
  out.labels = std::move(labels);
  out.written_labels = out.submitted_labels = kDigits;
}

ClassTask cola() {
  ClassTask out = task("cola", "CoLA");
  out.fields = {{"sentence"}};
  number_labels(out, {"unacceptable", "acceptable"});
  out.headless_columns = {"source", "label", "mark", "sentence"};
  out.metrics = {kMatthews};
  return out;
}

ClassTask sst2() {
  ClassTask out = task("sst2", "SST-2");
  out.fields = {{"sentence"}};
  number_labels(out, {"negative", "positive"});
  return out;
}

// GLUE's archives lack MRPC. Its test labels are public, in the corpus as its authors published it.
ClassTask mrpc() {
  ClassTask out = task("mrpc", "MRPC");
  out.data.published.address =
      "https://www.microsoft.com/en-us/download/details.aspx?id=52398 (train.tsv and dev.tsv are made from "
      "it "
      "by GLUE's download_glue_data.py)";
  out.data.files.back().second = {"msr_paraphrase_test.txt", "test.tsv"};
  out.fields = {{"sentence1", {"#1 String", "text_a"}}, {"sentence2", {"#2 String", "text_b"}}};
  out.label_columns = {"Quality", "label"};
  number_labels(out, {"not_equivalent", "equivalent"});
  out.metrics = {kF1, kAccuracy};
  return out;
}

// A few rows of the training file are cut short.
ClassTask qqp() {
  ClassTask out = task("qqp", "QQP", "QQP-clean.zip");
  out.fields = {{"question1", {"question1", "text_a"}}, {"question2", {"question2", "text_b"}}};
  out.label_columns = {"is_duplicate", "label"};
  number_labels(out, {"not_duplicate", "duplicate"});
  out.metrics = {kF1, kAccuracy};
  out.skip_short_rows = true;
  return out;
}

ClassTask mnli(const std::string& name, const std::string& section, const std::string& submission) {
  ClassTask out = task(name, "MNLI");
  out.data.files[1].second = {"dev_" + section + ".tsv"};
  out.data.files[2].second = {"test_" + section + ".tsv"};
  out.fields = {{"hypothesis", {"sentence2", "text_b"}}, {"premise", {"sentence1", "text_a"}}};
  out.label_columns = {"gold_label", "label"};
  out.labels = {"entailment", "neutral", "contradiction"};
  out.prefix = "mnli";
  out.submission = submission;
  return out;
}

// What is passed on as one dev.json is the matched section.
ClassTask mnli_matched() {
  ClassTask out = mnli("mnli", "matched", "MNLI-m.tsv");
  out.data.files[1].second.emplace_back("dev.json");
  return out;
}

ClassTask qnli() {
  ClassTask out = task("qnli", "QNLI", "QNLIv2.zip");
  out.fields = {{"question", {"question", "text_a"}}, {"sentence", {"sentence", "text_b"}}};
  out.labels = {"entailment", "not_entailment"};
  return out;
}

ClassTask rte() {
  ClassTask out = task("rte", "RTE");
  out.fields = {{"sentence1"}, {"sentence2"}};
  out.labels = {"entailment", "not_entailment"};
  return out;
}

ClassTask wnli() {
  ClassTask out = task("wnli", "WNLI");
  out.fields = {{"sentence1"}, {"sentence2"}};
  number_labels(out, {"not_entailment", "entailment"});
  return out;
}

}  // namespace

DataSet glue_data(const std::string& task, const std::string& folder, const std::string& archive) {
  return {task,
          {folder, "https://dl.fbaipublicfiles.com/glue/data/" + archive},
          {{"train", {"train.tsv", "train.json"}},
           {"validation", {"dev.tsv", "dev.json"}},
           {"test", {"test.tsv"}}}};
}

const std::vector<ClassTask>& glue_tasks() {
  static const std::vector<ClassTask> tasks = {
      cola(), sst2(), mrpc(), qqp(), mnli_matched(), mnli("mnli_mismatched", "mismatched", "MNLI-mm.tsv"),
      qnli(), rte(),  wnli()};
  return tasks;
}

}  // namespace trimtab
