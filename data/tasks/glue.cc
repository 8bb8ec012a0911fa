// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/glue.h"

#include <fmt/format.h>

#include "data/labels.h"
#include "data/tsv.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

class Sst2 final : public Task {
 public:
  explicit Sst2(Sst2Options options) : options_(std::move(options)) {
    if (options_.path.empty()) fail_config("task {}: path (the folder with train.tsv) is missing", name());
    check_max_rows(name(), options_.max_rows);
  }

  std::string name() const override { return "glue/sst2"; }
  std::vector<std::string> labels() const override { return {"negative", "positive"}; }
  std::vector<std::string> splits() const override { return {"train", "validation", "test"}; }

  std::vector<TextExample> load(const std::string& split) const override {
    check_split(split);
    const std::string file = fmt::format("{}/{}.tsv", options_.path, split == "validation" ? "dev" : split);
    const std::vector<std::string> legal = labels();
    std::vector<TextExample> examples;
    for_each_tsv_row(file, [&](const TsvRow& row) {
      if (options_.max_rows > 0 && examples.size() >= static_cast<std::size_t>(options_.max_rows)) return;
      TextExample example;
      example.input = "sentence: " + row.text("sentence");
      if (split == "test") {
        example.target = kNoLabel;
      } else {
        const std::string digit = check_label(row.text("label"), {"0", "1"}, row.place());
        example.target = legal[digit == "1" ? 1 : 0];
      }
      // The training and validation files number nothing, so that their rows are told apart by position.
      example.id = fmt::format("{}/{}", split, examples.size());
      examples.push_back(std::move(example));
    });
    return examples;
  }

 private:
  Sst2Options options_;
};

}  // namespace

std::unique_ptr<Task> make_sst2(Sst2Options options) { return std::make_unique<Sst2>(std::move(options)); }

}  // namespace trimtab
