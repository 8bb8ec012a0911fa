// SPDX-License-Identifier: Apache-2.0
//
// A task turns records into text and predictions into scores. It knows nothing of tokens, models or ranks.
// Owned by the experiment; all calls are const and give the same result each time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "data/sampled_part.h"

namespace trimtab {

struct TextExample {
  std::string input{};
  std::string target{};
  std::string id{};                       // as the file names the record, or "file-stem:line"
  std::string group{};                    // rows that are scored together share it; mostly empty
  std::vector<std::string> references{};  // other right answers than the target
  std::string label{};                    // class of a row whose target is no class: WSC's "True" or "False"
  std::size_t part = 0;                   // in a mixture: number of the row's task
};

struct Metric {
  std::string name{};
  double value = 0;  // percent
};

struct Scores {
  std::vector<Metric> metrics{};
  std::string main{};        // name of the metric that selects checkpoints
  std::size_t examples = 0;  // scored
  std::size_t invalid = 0;   // predictions that are no legal label; 0 for free text

  // Throws Error that lists the known metrics.
  double value(std::string_view name) const;
  double main_value() const { return value(main); }
};

// A file as a benchmark's server wants it, for test splits whose labels are hidden.
struct Submission {
  std::string file{};                // its name is part of the format: "RTE.jsonl"
  std::vector<std::string> lines{};  // without line ends
  std::size_t invalid = 0;           // predictions that were no legal label; the first label stands for them
};

class Task {
 public:
  virtual ~Task() = default;

  // As it is registered, "superglue/rte".
  virtual std::string name() const = 0;
  // Legal targets in class order; empty for free text.
  virtual std::vector<std::string> labels() const = 0;
  // What a model chooses from where it does not generate (evaluate.answers: rank): what it says for each
  // label, in class order. Throws ConfigError if that is not the same for all rows.
  virtual std::vector<std::string> choices() const { return labels(); }
  // In the order train, validation, test; a task may lack one.
  virtual std::vector<std::string> splits() const = 0;
  // Throws Error (file, line, field or label) for bad records or an empty split, ConfigError for an unknown
  // split.
  virtual std::vector<TextExample> load(const std::string& split) const = 0;
  // Predictions are decoded text, one for each example. The default is accuracy for tasks with labels, exact
  // match and token F1 for free text. Throws Error if the counts differ or are 0.
  virtual Scores score(const std::vector<std::string>& predictions,
                       const std::vector<TextExample>& examples) const;

  // Words for the class-label initialisation of prompts (Lester et al. 2021, section 3.2 and footnote 7): the
  // labels, if there are any.
  virtual std::vector<std::string> prompt_words() const { return labels(); }
  // What the T5 code puts in front of the inputs when several tasks are trained at once: the last part of the
  // name.
  virtual std::string prefix() const;
  // How training rows are sampled: runs of neighbours that make up `examples`. One run, unless the task is a
  // mixture.
  virtual std::vector<SampledPart> parts(const std::vector<TextExample>& examples) const;
  // The official files for predictions of a test split. Throws ConfigError if the task has no such format,
  // Error if the counts differ.
  virtual std::vector<Submission> submissions(const std::vector<std::string>& predictions,
                                              const std::vector<TextExample>& examples) const;
  // The name of the task that an example is of: this one, unless the task is a mixture.
  virtual std::string task_of(const TextExample&) const { return name(); }

 protected:
  // For load(): throws ConfigError that names the splits unless `split` is one of them.
  void check_split(const std::string& split) const;
  // For score(): the targets. Throws Error that names an example without a legal label.
  std::vector<std::string> known_targets(const std::vector<TextExample>& examples) const;
};

// The main one is the only metric, or their mean, which is added: a checkpoint is chosen by the mean of a
// task's metrics (Lester et al. 2021, section 3).
Scores mean_scores(std::vector<Metric> metrics, std::size_t examples, std::size_t invalid);

// The target and the other right answers of each example.
std::vector<std::vector<std::string>> right_answers(const std::vector<TextExample>& examples);

}  // namespace trimtab
