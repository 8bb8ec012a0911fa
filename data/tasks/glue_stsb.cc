// SPDX-License-Identifier: Apache-2.0
//
// Text and rounding: t5/data/preprocessors.py, stsb. A score is rounded to the nearest of 0.0, 0.2 ... 5.0,
// so that the targets are 26 strings; what cannot be read as a number counts as -1.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/labels.h"
#include "data/metrics.h"
#include "data/submission.h"
#include "data/tasks/glue.h"
#include "data/tsv.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// In float32 and with ties to even, as TensorFlow does: 3.3 gives 3.2.
std::string rounded(double score) {
  return fmt::format("{:.1f}", std::nearbyint(static_cast<float>(score) * 5.0f) / 5.0f);
}

double value_of(const std::string& text) { return number_in(text).value_or(-1); }

class Stsb final : public PublishedTask {
 public:
  explicit Stsb(PublishedOptions options)
      : PublishedTask(glue_data("glue/stsb", "STS-B", "STS-B.zip"), std::move(options)) {}

  std::vector<std::string> labels() const override { return {}; }

  Scores score(const Texts& predictions, const std::vector<TextExample>& examples) const override {
    check_counts(predictions.size(), examples.size());
    std::vector<double> predicted, wanted;
    std::size_t invalid = 0;
    for (std::size_t i = 0; i < examples.size(); ++i) {
      if (!is_labelled(examples[i]))
        fail("task {}: example '{}' has no score, so that it cannot be scored", name(), examples[i].id);
      predicted.push_back(value_of(predictions[i]));
      wanted.push_back(value_of(examples[i].target));
      invalid += number_in(predictions[i]).has_value() ? 0 : 1;
    }
    return mean_scores({{"pearson", pearson(predicted, wanted)}, {"spearman", spearman(predicted, wanted)}},
                       examples.size(), invalid);
  }

  std::vector<Submission> submissions(const Texts& predictions,
                                      const std::vector<TextExample>& examples) const override {
    Submission file = begin_submission("STS-B.tsv", predictions, examples);
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      file.invalid += number_in(predictions[i]).has_value() ? 0 : 1;
      add_submitted(file, record_of(examples[i]),
                    fmt::format("{:.3f}", std::clamp(value_of(predictions[i]), 0.0, 5.0)));
    }
    return {file};
  }

 protected:
  void read(const TextFile& file, const std::string& split, const Add& add) const override {
    std::size_t number = 0;
    for_each_tsv_row(file, [&](const TsvRow& row) {
      TextExample example;
      example.input =
          fmt::format("sentence1: {} sentence2: {}", row.text("sentence1"), row.text("sentence2"));
      example.target =
          split == "test" && !row.has("score") ? kNoLabel : target_of(row.text("score"), row.place());
      example.id = fmt::format("{}/{}", split, number++);
      add(std::move(example));
    });
  }

 private:
  static std::string target_of(const std::string& written, const std::string& place) {
    const auto score = number_in(written);
    if (!score || *score < 0 || *score > 5)
      fail("{}: the score should be a number from 0 to 5, but is '{}'", place, written);
    return rounded(*score);
  }
};

}  // namespace

std::unique_ptr<Task> make_stsb(PublishedOptions options) {
  return std::make_unique<Stsb>(std::move(options));
}

}  // namespace trimtab
