// SPDX-License-Identifier: Apache-2.0
//
// What all tasks over published data sets share: where the files are, which split is which file, the number
// of rows. A suite adds how the rows of a file become examples.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/data_files.h"
#include "data/task.h"

namespace trimtab {

struct PublishedOptions {
  std::string path{};              // folder with the files or with the data set's folder, or its zip file
  std::string train{};             // file name instead of the official one
  std::string validation{};        // the same
  std::string test{};              // the same
  std::int64_t max_rows = 0;       // of each split the first rows; 0 for all
  std::int64_t train_percent = 0;  // of the validation file, as training split; 0 for the official file
};

template <class V>
void describe(V& v, PublishedOptions& s) {
  v.field("path", s.path,
          "Folder with the files, or with the data set's own folder or zip file in it; or that zip file.",
          {.required = true});
  v.field("train", s.train, "File of the training split, in place of the official one.");
  v.field("validation", s.validation, "File of the validation split, in place of the official one.");
  v.field("test", s.test, "File of the test split, in place of the official one.");
  v.field("max_rows", s.max_rows, "Of each split the first rows are used; 0: all.",
          {.min = 0, .unit = "rows"});
  v.field("train_percent", s.train_percent,
          "Share of the validation file that is trained on, for whoever lacks the training file; a hash of "
          "each record decides, and the rest is the validation split. 0: the training file.",
          {.min = 0, .max = 95, .unit = "percent"});
}

// A data set as the task's table or file describes it.
struct DataSet {
  std::string task{};  // as it is registered
  Published published{};
  // In the order train, validation, test: the split and its file, with the names in order of preference.
  std::vector<std::pair<std::string, std::vector<std::string>>> files{};
};

class PublishedTask : public Task {
 public:
  // Throws ConfigError for impossible options. load() throws MissingData if an official file is not there.
  PublishedTask(DataSet data, PublishedOptions options);

  std::string name() const override { return data_.task; }
  std::vector<std::string> splits() const override;
  std::vector<TextExample> load(const std::string& split) const override;

 protected:
  using Add = std::function<void(TextExample)>;
  // Adds the examples of a file in their order. Ids are "split/record", groups are unique in the split.
  // Throws Error (file, line, field or label) for bad records.
  virtual void read(const TextFile& file, const std::string& split, const Add& add) const = 0;
  // A submission without rows. Throws ConfigError if only the first rows are read: a server wants all.
  Submission begin_submission(const std::string& file, const std::vector<std::string>& predictions,
                              const std::vector<TextExample>& examples) const;

 private:
  TextFile find(const std::string& split) const;
  // The file that the options name; "" for the official one.
  const std::string& named_file(const std::string& split) const;
  std::vector<std::string> names_of(const std::string& split) const;

  DataSet data_;
  PublishedOptions options_;
};

// "7" of the id "test/7", "3/1" of "test/3/1".
std::string record_of(const TextExample& example);

}  // namespace trimtab
