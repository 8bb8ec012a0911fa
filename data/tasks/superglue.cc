// SPDX-License-Identifier: Apache-2.0
#include "data/tasks/superglue.h"

#include <fmt/format.h>

#include "data/jsonl.h"
#include "data/labels.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

class Rte final : public Task {
 public:
  explicit Rte(RteOptions options) : options_(std::move(options)) {
    if (options_.path.empty()) fail_config("task {}: path (the folder with train.jsonl) is missing", name());
    check_max_rows(name(), options_.max_rows);
  }

  std::string name() const override { return "superglue/rte"; }
  std::vector<std::string> labels() const override { return {"entailment", "not_entailment"}; }
  std::vector<std::string> splits() const override { return {"train", "validation", "test"}; }

  std::vector<TextExample> load(const std::string& split) const override {
    check_split(split);
    const std::string file = fmt::format("{}/{}.jsonl", options_.path, split == "validation" ? "val" : split);
    std::vector<TextExample> examples;
    for_each_json_row(file, [&](const JsonRow& row) {
      if (options_.max_rows > 0 && examples.size() >= static_cast<std::size_t>(options_.max_rows)) return;
      TextExample example;
      example.input = fmt::format("hypothesis: {} premise: {}", row.text("hypothesis"), row.text("premise"));
      example.target = split == "test" && !row.has("label")
                           ? kNoLabel
                           : check_label(row.text("label"), labels(), row.place());
      example.id = fmt::format("{}/{}", split, row.printed("idx"));
      examples.push_back(std::move(example));
    });
    return examples;
  }

 private:
  RteOptions options_;
};

}  // namespace

std::unique_ptr<Task> make_rte(RteOptions options) { return std::make_unique<Rte>(std::move(options)); }

}  // namespace trimtab
