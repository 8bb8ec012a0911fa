// SPDX-License-Identifier: Apache-2.0
#include "experiments/same_run.h"

#include <algorithm>
#include <array>
#include <vector>

#include "runtime/check.h"
#include "runtime/config.h"

namespace trimtab {
namespace {

// A key, or a section with all that is in it.
constexpr std::array<std::string_view, 24> kFree = {
    "name",
    "output",
    "labels",
    "mesh",
    "export",
    "evaluate",
    "model.threads",
    "model.device",
    "model.weights",     // compared by the hash of what is in it
    "model.vocabulary",  // the same
    "data.cache",
    "text.cache",
    "text.dev_rows",
    "train.steps",
    "train.micro_batch_tokens",
    "train.evaluate_every",
    "train.validate_every",
    "train.validation_batches",
    "train.checkpoint_every",
    "train.journal",
    "train.patience",
    "train.compare_every",
    "train.log_every",
    "train.log_seconds",
};

bool is_free(std::string_view path, const ConfigNode& wanted) {
  // A rate that falls to nothing at the last step depends on where that is.
  const ConfigNode* optimizer = wanted.find("optimizer");
  const ConfigNode* schedule = optimizer ? optimizer->find("schedule") : nullptr;
  if (path == "train.steps" && schedule && schedule->text == "linear") return false;
  return std::ranges::any_of(kFree, [&](std::string_view key) {
    return path.starts_with(key) && (path.size() == key.size() || path[key.size()] == '.');
  });
}

constexpr std::array<std::string_view, 4> kScoring = {"evaluate.split", "evaluate.answers",
                                                      "evaluate.max_examples", "text.dev_rows"};

std::string text_of(const Difference& d) {
  return fmt::format("{} was {} and is now {}", d.key, d.before, d.after);
}

}  // namespace

void check_same_scoring(const std::string& stored, const std::string& wanted, const std::string& checkpoint) {
  std::vector<std::string> differences;
  for (const Difference& d : difference(parse_yaml(stored, checkpoint), parse_yaml(wanted, "this run")))
    if (std::ranges::count(kScoring, d.key) > 0) differences.push_back(text_of(d));
  if (!differences.empty())
    fail_config(
        "{}: what was scored before cannot be compared with what would be scored from now on: {}; set them "
        "back until the "
        "run has ended, or set output to another folder",
        checkpoint, fmt::join(differences, "; "));
}

void check_same_run(const std::string& stored, const std::string& wanted, const std::string& checkpoint) {
  std::vector<std::string> differences;
  const ConfigNode now = parse_yaml(wanted, "this run");
  for (const Difference& d : difference(parse_yaml(stored, checkpoint), now))
    if (!is_free(d.key, now)) differences.push_back(text_of(d));
  if (!differences.empty())
    fail_config("{}: holds a run with other settings: {}; set them back, or set output to another folder",
                checkpoint, fmt::join(differences, "; "));
}

}  // namespace trimtab
