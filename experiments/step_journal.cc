// SPDX-License-Identifier: Apache-2.0
#include "experiments/step_journal.h"

#include <filesystem>
#include <utility>

#include "runtime/agreement.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Between two writes a hundred times as long passes as one takes.
constexpr int kShare = 100;
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 22;

std::string newest_path(const RunFolder& folder, std::string& passed_over) {
  const auto state_of = [](const std::string& file) {
    const Checkpoint checkpoint(file);
    return std::pair(checkpoint.info().step, checkpoint.info().evaluated_step);
  };
  std::string path;
  std::pair<std::int64_t, std::int64_t> newest(-1, -1);
  if (std::filesystem::exists(folder.last())) {
    path = folder.last();
    newest = state_of(path);
  }
  for (int turn = 0; turn < RunFolder::kJournals; ++turn) {
    const std::string journal = folder.journal(turn);
    if (!std::filesystem::exists(journal)) continue;
    try {
      const auto found = state_of(journal);
      if (found <= newest) continue;
      newest = found;
      path = journal;
    } catch (const Error& error) {
      passed_over = fmt::format("{}{}", passed_over.empty() ? "" : passed_over + "; ", error.what());
    }
  }
  return path;
}

}  // namespace

StepJournal::StepJournal(const RunFolder& folder, const std::string& mode, std::int64_t trained, World& world)
    : folder_(folder),
      world_(world),
      always_(mode == "on"),
      enabled_(always_ || (mode == "auto" && trained > 0 && trained <= kMostNumbers)) {}

// By rank 0's clock.
bool StepJournal::due() {
  if (!enabled_ || always_) return enabled_;
  return any_of(world_.all(), world_.rank() == 0 && Clock::now() - written_ >= kShare * cost_);
}

std::string StepJournal::write(const CheckpointInfo& info, const Parameters& parameters,
                               const OptimizerState& state) {
  const Clock::time_point begin = Clock::now();
  // Nothing is sent while the file is written, so that a full disk is one rank's concern.
  const GatheredState gathered = gather_state(world_, parameters, state);
  std::string problem;
  if (world_.rank() == 0) {
    try {
      write_state(folder_.journal(turn_), info, gathered, Durability::kProcess);
    } catch (const Error& error) {
      problem = error.what();
    }
  }
  turn_ = (turn_ + 1) % RunFolder::kJournals;
  written_ = Clock::now();
  cost_ = written_ - begin;
  if (any_of(world_.all(), !problem.empty())) enabled_ = false;
  return problem;
}

void StepJournal::remove() {
  for (int turn = 0; turn < RunFolder::kJournals; ++turn) {
    std::error_code nothing_to_remove;
    std::filesystem::remove(folder_.journal(turn), nothing_to_remove);
  }
}

std::unique_ptr<Checkpoint> newest_state(const RunFolder& folder, World& world, std::string& passed_over) {
  const std::string path =
      text_of_rank(world.all(), world.rank() == 0 ? newest_path(folder, passed_over) : "");
  return path.empty() ? nullptr : std::make_unique<Checkpoint>(path);
}

}  // namespace trimtab
