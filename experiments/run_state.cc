// SPDX-License-Identifier: Apache-2.0
#include "experiments/run_state.h"

#include <algorithm>
#include <filesystem>

#include "data/text_file.h"
#include "experiments/run_lock.h"
#include "experiments/run_record.h"
#include "experiments/same_run.h"
#include "runtime/check.h"

namespace trimtab {

std::string_view name_of(RunState state) {
  switch (state) {
    case RunState::kNotBegun:
      return "not begun";
    case RunState::kRunning:
      return "running";
    case RunState::kInterrupted:
      return "interrupted";
    case RunState::kFailed:
      return "failed";
    case RunState::kFinished:
      return "finished";
    case RunState::kOutdated:
      return "to go on";
    case RunState::kOtherSettings:
      return "other settings";
  }
  fail("{} is no state of a run", static_cast<int>(state));
}

bool is_finished(const ExperimentConfig& config) {
  const RunFolder folder(config.output);
  const auto record = load_record(folder.record());
  if (!record || record->status != "finished") return false;
  const std::string wanted = dump_config(config);
  const std::string stored = read_bytes(folder.config());
  check_same_run(stored, wanted, folder.config());
  const auto differences = difference(parse_yaml(stored, folder.config()), parse_yaml(wanted, "this run"));
  return std::ranges::none_of(differences, [](const Difference& d) {
    return d.key == "train.steps" || d.key.starts_with("evaluate.") || d.key == "text.dev_rows";
  });
}

RunState state_of(const ExperimentConfig& config) {
  const RunFolder folder(config.output);
  if (!lock_holder(config.output).empty()) return RunState::kRunning;
  if (!std::filesystem::exists(folder.config())) return RunState::kNotBegun;
  try {
    check_same_run(read_bytes(folder.config()), dump_config(config), folder.config());
  } catch (const ConfigError&) {
    return RunState::kOtherSettings;
  }
  const auto record = load_record(folder.record());
  if (!record) return RunState::kInterrupted;
  if (record->status == "failed") return RunState::kFailed;
  if (record->status != "finished") return RunState::kInterrupted;
  return is_finished(config) ? RunState::kFinished : RunState::kOutdated;
}

}  // namespace trimtab
