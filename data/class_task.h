// SPDX-License-Identifier: Apache-2.0
//
// Classification as the T5 code writes it: "name: value name: value" to the label's text. A task of this kind
// is a value: fields, labels, metrics. The suites under tasks/ are tables of such values.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/metrics.h"
#include "data/published_task.h"

namespace trimtab {

// "name: value" in the input. The value is that of the first of `columns` that the file has; rows of a data
// set are often passed on as text_a and text_b.
struct TextField {
  std::string name{};
  std::vector<std::string> columns{};  // empty: the one of this name
};

struct ClassMetric {
  const char* name;
  double (*value)(const Texts& predictions, const Texts& targets, const Texts& labels);
};

inline constexpr ClassMetric kAccuracy{"accuracy",
                                       [](const Texts& predictions, const Texts& targets, const Texts&) {
                                         return accuracy(predictions, targets);
                                       }};
// Of the last label.
inline constexpr ClassMetric kF1{"f1",
                                 [](const Texts& predictions, const Texts& targets, const Texts& labels) {
                                   return f1_of_class(predictions, targets, labels, labels.back());
                                 }};
inline constexpr ClassMetric kMacroF1{"macro_f1", macro_f1};
inline constexpr ClassMetric kMatthews{"matthews", matthews};

struct ClassTask {
  DataSet data{};
  std::vector<TextField> fields{};                  // in the order of the input
  std::vector<std::string> labels{};                // in class order
  std::vector<std::string> label_columns{"label"};  // the first of these that the file has
  std::vector<std::string> written_labels{};        // how the file writes them, if not as they are
  std::vector<ClassMetric> metrics{kAccuracy};
  std::string prefix{};                         // if not the last part of the task's name
  std::string record{};                         // column that names a record; "" numbers the rows
  std::vector<std::string> headless_columns{};  // of labelled TSV files without a header line
  bool skip_short_rows = false;                 // TSV rows that are cut short are left out
  std::string submission{};                     // file name: "RTE.jsonl", "RTE.tsv"; "" for none
  std::vector<std::string> submitted_labels{};  // how the server wants them, if not as they are
};

struct ClassTaskOptions : PublishedOptions {
  std::vector<std::string> replace{};      // empty, or a text and what stands for it in predictions
  std::vector<std::string> label_words{};  // empty, or what stands for each label in the model's text
};

template <class V>
void describe(V& v, ClassTaskOptions& s) {
  describe(v, static_cast<PublishedOptions&>(s));
  v.field("replace", s.replace,
          "Two texts: in predictions the first one is read as the second, to score a prompt that was trained "
          "on a task with other words ([duplicate, equivalent]).");
  v.field("label_words", s.label_words,
          "A word for each label in class order ([yes, no]), which the model reads and writes in its place; "
          "scores and submissions are of the labels.");
}

std::unique_ptr<Task> make_class_task(ClassTask task, ClassTaskOptions options);

}  // namespace trimtab
