// SPDX-License-Identifier: Apache-2.0
//
// A task turns records into text and predictions into scores. It knows nothing of tokens, models or ranks.
// Owned by the experiment; all calls are const and give the same result each time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

struct TextExample {
  std::string input{};
  std::string target{};
  std::string id{};                       // as the file names the record, or "file-stem:line"
  std::string group{};                    // rows that are scored together share it; mostly empty
  std::vector<std::string> references{};  // other right answers than the target
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

class Task {
 public:
  virtual ~Task() = default;

  // As it is registered, "superglue/rte".
  virtual std::string name() const = 0;
  // Legal targets in class order; empty for free text.
  virtual std::vector<std::string> labels() const = 0;
  // In the order train, validation, test; a task may lack one.
  virtual std::vector<std::string> splits() const = 0;
  // Throws Error (file, line, field or label) for bad records or an empty split, ConfigError for an unknown
  // split.
  virtual std::vector<TextExample> load(const std::string& split) const = 0;
  // Predictions are decoded text, one for each example. The default is accuracy for tasks with labels, exact
  // match and token F1 for free text. Throws Error if the counts differ or are 0.
  virtual Scores score(const std::vector<std::string>& predictions,
                       const std::vector<TextExample>& examples) const;

 protected:
  // For load(): throws ConfigError that names the splits unless `split` is one of them.
  void check_split(const std::string& split) const;
};

}  // namespace trimtab
