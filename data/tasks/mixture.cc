// SPDX-License-Identifier: Apache-2.0
//
// Capped sizes as mixing weights: t5 (Raffel et al. 2020, section 3.5.2), "examples-proportional mixing".
#include "data/tasks/mixture.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/metrics.h"
#include "data/tasks/registry.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

void add_new(std::vector<std::string>& all, const std::vector<std::string>& more) {
  for (const std::string& item : more)
    if (std::find(all.begin(), all.end(), item) == all.end()) all.push_back(item);
}

class Mixture final : public Task {
 public:
  explicit Mixture(MixtureOptions options) : cap_(options.cap), prefix_(options.prefix) {
    if (cap_ < 0) fail_config("task mixture: cap should be 0 (no limit) or more, but is {}", cap_);
    if (options.tasks.empty()) fail_config("task mixture: tasks is empty");
    std::set<std::string> seen;
    for (MixedTask& mixed : options.tasks) {
      if (mixed.task.name() == "mixture") mixed.task.refuse("name", "a mixture cannot hold a mixture");
      if (mixed.share < 0)
        fail_config("task mixture: share should be 0 (all rows) or more, but is {}", mixed.share);
      tasks_.push_back(make_task(mixed.task));
      shares_.push_back(mixed.share);
      if (!seen.insert(tasks_.back()->name()).second)
        fail_config("task mixture: {} is listed twice", tasks_.back()->name());
    }
  }

  std::string name() const override { return "mixture"; }

  std::vector<std::string> labels() const override {
    std::vector<std::string> all;
    for (const auto& task : tasks_) add_new(all, task->labels());
    return all;
  }
  std::vector<std::string> choices() const override {
    const std::vector<std::string> first = tasks_.front()->choices();
    for (const auto& task : tasks_)
      if (task->choices() != first)
        fail_config(
            "task mixture: {} and {} have different labels, so answers cannot be chosen from one list; set "
            "evaluate.answers to generate",
            tasks_.front()->name(), task->name());
    return first;
  }
  std::vector<std::string> prompt_words() const override {
    std::vector<std::string> all;
    for (const auto& task : tasks_) add_new(all, task->prompt_words());
    return all;
  }
  std::vector<std::string> splits() const override {
    std::vector<std::string> known;
    for (const char* split : {"train", "validation", "test"})
      if (std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& task) { return has(*task, split); }))
        known.emplace_back(split);
    return known;
  }

  std::vector<TextExample> load(const std::string& split) const override {
    check_split(split);
    std::vector<TextExample> all;
    for (std::size_t part = 0; part < tasks_.size(); ++part) {
      if (!has(*tasks_[part], split)) continue;
      for (TextExample& example : tasks_[part]->load(split)) {
        if (prefix_) example.input = tasks_[part]->prefix() + " " + example.input;
        example.id = tasks_[part]->name() + ":" + example.id;
        example.part = part;
        all.push_back(std::move(example));
      }
    }
    return all;
  }

  Scores score(const std::vector<std::string>& predictions,
               const std::vector<TextExample>& examples) const override {
    Scores all;
    double sum = 0, scored = 0;
    for (const auto& [part, rows] : by_part(predictions, examples)) {
      const Scores scores = tasks_[part]->score(rows.predictions, rows.examples);
      for (const Metric& metric : scores.metrics)
        all.metrics.push_back({tasks_[part]->name() + "/" + metric.name, metric.value});
      sum += scores.main_value();
      ++scored;
      all.examples += scores.examples;
      all.invalid += scores.invalid;
    }
    all.main = "mean";
    all.metrics.push_back({all.main, sum / scored});
    return all;
  }

  std::vector<SampledPart> parts(const std::vector<TextExample>& examples) const override {
    std::vector<SampledPart> runs;
    for (std::size_t begin = 0; begin < examples.size();) {
      std::size_t end = begin;
      while (end < examples.size() && examples[end].part == examples[begin].part) ++end;
      runs.push_back({end - begin, share_of(examples[begin].part, end - begin)});
      begin = end;
    }
    return runs;
  }

  std::vector<Submission> submissions(const std::vector<std::string>& predictions,
                                      const std::vector<TextExample>& examples) const override {
    std::vector<Submission> files;
    for (const auto& [part, rows] : by_part(predictions, examples))
      for (Submission& file : tasks_[part]->submissions(rows.predictions, rows.examples))
        files.push_back(std::move(file));
    return files;
  }
  std::string task_of(const TextExample& example) const override { return tasks_.at(example.part)->name(); }

 private:
  struct Rows {
    std::vector<std::string> predictions;
    std::vector<TextExample> examples;
  };

  static bool has(const Task& task, const std::string& split) {
    const auto splits = task.splits();
    return std::find(splits.begin(), splits.end(), split) != splits.end();
  }

  std::size_t share_of(std::size_t part, std::size_t rows) const {
    if (shares_.at(part) > 0) return static_cast<std::size_t>(shares_[part]);
    return cap_ > 0 ? std::min(rows, static_cast<std::size_t>(cap_)) : rows;
  }

  // The rows of each task as the task itself loaded them, but for the prefix.
  std::map<std::size_t, Rows> by_part(const std::vector<std::string>& predictions,
                                      const std::vector<TextExample>& examples) const {
    check_counts(predictions.size(), examples.size());
    std::map<std::size_t, Rows> parts;
    for (std::size_t i = 0; i < examples.size(); ++i) {
      Rows& rows = parts[examples[i].part];
      rows.predictions.push_back(predictions[i]);
      rows.examples.push_back(examples[i]);
      rows.examples.back().id.erase(0, tasks_.at(examples[i].part)->name().size() + 1);
    }
    return parts;
  }

  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<std::int64_t> shares_;
  std::int64_t cap_;
  bool prefix_;
};

}  // namespace

std::unique_ptr<Task> make_mixture(MixtureOptions options) {
  return std::make_unique<Mixture>(std::move(options));
}

}  // namespace trimtab
