// SPDX-License-Identifier: Apache-2.0
//
// Field order, labels and class order: t5/data/glue_utils.py, t5/data/preprocessors.py (glue) and
// tensorflow_datasets' super_glue. The server's labels: https://super.gluebenchmark.com/faq.
#include "data/tasks/superglue.h"

namespace trimtab {
namespace {

Published published(const std::string& folder) {
  return {folder, "https://dl.fbaipublicfiles.com/glue/superglue/data/v2/" + folder + ".zip"};
}

ClassTask task(const std::string& name, const std::string& folder) {
  ClassTask out;
  out.data = superglue_data("superglue/" + name, folder);
  out.record = "idx";
  out.submission = folder + ".jsonl";
  return out;
}

ClassTask boolq() {
  ClassTask out = task("boolq", "BoolQ");
  out.fields = {{"passage"}, {"question"}};
  out.labels = {"False", "True"};
  out.submitted_labels = {"false", "true"};
  return out;
}

ClassTask cb() {
  ClassTask out = task("cb", "CB");
  out.fields = {{"hypothesis"}, {"premise"}};
  out.labels = {"entailment", "contradiction", "neutral"};
  out.metrics = {kMacroF1, kAccuracy};
  return out;
}

ClassTask copa() {
  ClassTask out = task("copa", "COPA");
  out.fields = {{"choice1"}, {"choice2"}, {"premise"}, {"question"}};
  out.labels = {"choice1", "choice2"};
  out.written_labels = out.submitted_labels = {"0", "1"};
  return out;
}

ClassTask rte() {
  ClassTask out = task("rte", "RTE");
  out.fields = {{"hypothesis"}, {"premise"}};
  out.labels = {"entailment", "not_entailment"};
  return out;
}

// The places of the word in the sentences are not used.
ClassTask wic() {
  ClassTask out = task("wic", "WiC");
  out.fields = {{"sentence1"}, {"sentence2"}, {"word"}};
  out.labels = {"False", "True"};
  out.submitted_labels = {"false", "true"};
  return out;
}

// Both diagnostics are questions to a model of RTE.
ClassTask diagnostic(const std::string& name, const std::string& folder) {
  ClassTask out = rte();
  out.data = {"superglue/" + name, published(folder), {{"test", {folder + ".jsonl"}}}};
  out.fields = {{"hypothesis", {"hypothesis", "sentence2"}}, {"premise", {"premise", "sentence1"}}};
  out.prefix = "rte";
  out.submission = folder + ".jsonl";
  return out;
}

// Wang et al. 2019, section 3.2; T5's code has no metric for it.
ClassTask axb() {
  ClassTask out = diagnostic("axb", "AX-b");
  out.metrics = {kMatthews};
  return out;
}

}  // namespace

DataSet superglue_data(const std::string& task, const std::string& folder) {
  return {task,
          published(folder),
          {{"train", {"train.jsonl"}}, {"validation", {"val.jsonl"}}, {"test", {"test.jsonl"}}}};
}

const std::vector<ClassTask>& superglue_tasks() {
  static const std::vector<ClassTask> tasks = {
      boolq(), cb(), copa(), rte(), wic(), axb(), diagnostic("axg", "AX-g")};
  return tasks;
}

}  // namespace trimtab
