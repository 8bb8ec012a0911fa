// SPDX-License-Identifier: Apache-2.0
#include "data/class_task.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "data/jsonl.h"
#include "data/labels.h"
#include "data/submission.h"
#include "data/tsv.h"
#include "runtime/check.h"
#include "runtime/log.h"

namespace trimtab {

namespace {

// JSON rows print numbers and truth values as T5's preprocessors do.
std::string raw_label(const JsonRow& row, const std::string& column) { return row.printed(column); }
std::string raw_label(const TsvRow& row, const std::string& column) { return row.text(column); }

std::string replaced(std::string text, const Texts& from_to) {
  const std::string &from = from_to[0], &to = from_to[1];
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

class Classification final : public PublishedTask {
 public:
  Classification(ClassTask task, ClassTaskOptions options)
      : PublishedTask(task.data, static_cast<PublishedOptions&>(options)),
        task_(std::move(task)),
        replace_(std::move(options.replace)) {
    for (TextField& field : task_.fields)
      if (field.columns.empty()) field.columns = {field.name};
    if (task_.written_labels.empty()) task_.written_labels = task_.labels;
    if (task_.submitted_labels.empty()) task_.submitted_labels = task_.labels;
    if (!replace_.empty() && (replace_.size() != 2 || replace_[0].empty() || replace_[1].empty()))
      fail_config("task {}: replace should be two texts, as in [duplicate, equivalent], but is [{}]", name(),
                  fmt::join(replace_, ", "));
    if (!options.label_words.empty()) speak(std::move(options.label_words));
    const auto says = [&](const std::string& label) { return label.find(replace_[1]) != std::string::npos; };
    if (!replace_.empty() && std::ranges::none_of(task_.labels, says))
      fail_config(
          "task {}: replace: [{}]: no label has '{}' in it, so nothing that is read so could be right; "
          "labels: {}",
          name(), fmt::join(replace_, ", "), replace_[1], fmt::join(task_.labels, ", "));
  }

  std::vector<std::string> labels() const override { return task_.labels; }
  // The words of the task that the prompt was trained on.
  std::vector<std::string> choices() const override {
    Texts said = task_.labels;
    if (!replace_.empty())
      for (std::string& text : said) text = replaced(std::move(text), {replace_[1], replace_[0]});
    return said;
  }
  std::string prefix() const override { return task_.prefix.empty() ? Task::prefix() : task_.prefix; }

  Scores score(const Texts& predictions, const std::vector<TextExample>& examples) const override {
    const Texts targets = known_targets(examples), read = as_read(predictions);
    std::vector<Metric> metrics;
    for (const ClassMetric& metric : task_.metrics)
      metrics.push_back({metric.name, metric.value(read, targets, task_.labels)});
    return mean_scores(std::move(metrics), examples.size(), count_invalid(read, task_.labels));
  }

  std::vector<Submission> submissions(const Texts& predictions,
                                      const std::vector<TextExample>& examples) const override {
    if (task_.submission.empty()) return Task::submissions(predictions, examples);
    const Texts read = as_read(predictions);
    Submission file = begin_submission(task_.submission, read, examples);
    file.invalid = count_invalid(read, task_.labels);
    for (std::size_t i = 0; i < read.size(); ++i) {
      auto at = static_cast<std::size_t>(std::find(task_.labels.begin(), task_.labels.end(), read[i]) -
                                         task_.labels.begin());
      if (at == task_.labels.size()) at = 0;
      add_submitted(file, record_of(examples[i]), task_.submitted_labels[at]);
    }
    return {file};
  }

 protected:
  void read(const TextFile& file, const std::string& split, const Add& add) const override {
    std::size_t number = 0;
    const auto visit = [&](const auto& row) { add(to_text(row, split, number++)); };
    if (file.name.ends_with(".jsonl") || file.name.ends_with(".jsonl.gz")) {
      for_each_json_row(file, visit);
    } else if (file.name.ends_with(".json") || file.name.ends_with(".json.gz")) {
      for_each_json_member(file, visit);
    } else {
      TsvOptions options;
      if (split != "test") options.columns = task_.headless_columns;
      options.skip_short = task_.skip_short_rows;
      if (const std::size_t left_out = for_each_tsv_row(file, visit, options); left_out > 0)
        TT_LOG(warning, "{}: {} rows have fewer fields than the header and were left out", file.name,
               left_out);
    }
  }

 private:
  // From here on the labels are these words; files and servers keep theirs.
  void speak(Texts words) {
    const std::set<std::string> distinct(words.begin(), words.end());
    if (words.size() != task_.labels.size() || distinct.size() != words.size() || distinct.contains(""))
      fail_config("task {}: label_words should be {} distinct words, for {} in this order, but is [{}]",
                  name(), task_.labels.size(), fmt::join(task_.labels, ", "), fmt::join(words, ", "));
    task_.labels = std::move(words);
  }

  // The first column that the row has; the first of all if there is none, for the message that names it.
  template <class Row>
  static const std::string& present(const Row& row, const std::vector<std::string>& columns) {
    const auto found =
        std::find_if(columns.begin(), columns.end(), [&](const auto& column) { return row.has(column); });
    return found == columns.end() ? columns.front() : *found;
  }

  template <class Row>
  TextExample to_text(const Row& row, const std::string& split, std::size_t number) const {
    TextExample example;
    for (const TextField& field : task_.fields)
      example.input += fmt::format("{}{}: {}", example.input.empty() ? "" : " ", field.name,
                                   row.text(present(row, field.columns)));
    const std::string& column = present(row, task_.label_columns);
    example.target =
        split == "test" && !row.has(column) ? kNoLabel : label_of(raw_label(row, column), row.place());
    const std::string record = task_.record.empty() || !row.has(task_.record) ? std::to_string(number)
                                                                              : raw_label(row, task_.record);
    example.id = split + "/" + record;
    return example;
  }

  const std::string& label_of(const std::string& written, const std::string& place) const {
    check_label(written, task_.written_labels, place);
    const auto at = std::find(task_.written_labels.begin(), task_.written_labels.end(), written);
    return task_.labels[static_cast<std::size_t>(at - task_.written_labels.begin())];
  }

  Texts as_read(const Texts& predictions) const {
    Texts read = predictions;
    if (!replace_.empty())
      for (std::string& text : read) text = replaced(std::move(text), replace_);
    return read;
  }

  ClassTask task_;
  Texts replace_;
};

}  // namespace

std::unique_ptr<Task> make_class_task(ClassTask task, ClassTaskOptions options) {
  return std::make_unique<Classification>(std::move(task), std::move(options));
}

}  // namespace trimtab
