// SPDX-License-Identifier: Apache-2.0
#include "experiments/step_journal.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <utility>
#include <vector>

#include "experiments/folder_check.h"
#include "runtime/agreement.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// A prompt of 100 positions is small for the largest models, too: its file takes milliseconds.
constexpr std::int64_t kSmall = std::int64_t{1} << 19;
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 22;
constexpr int kTurns = RunFolder::kJournals / 2;  // files of each rank that writes

bool is_kept(const std::string& mode, std::int64_t trained) {
  return mode == "on" || (mode == "auto" && trained > 0 && trained <= kMostNumbers);
}

class Newest {
 public:
  // Throws Error for a file that is damaged.
  void look_at(const std::string& file) {
    const Checkpoint checkpoint(file);
    const std::pair found(checkpoint.info().step, checkpoint.info().evaluated_step);
    if (found <= state_) return;
    state_ = found;
    path_ = file;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::pair<std::int64_t, std::int64_t> state_ = {-1, -1};
};

std::string newest_path(const RunFolder& folder, std::string& passed_over) {
  Newest newest;
  const auto add = [&](const std::string& what, const std::string& why) {
    passed_over += fmt::format("{}{}: {}", passed_over.empty() ? "" : "; ", what, why);
  };
  std::exception_ptr no_checkpoint;
  std::string why;
  try {
    if (std::filesystem::exists(folder.last())) newest.look_at(folder.last());
  } catch (const Error& error) {
    no_checkpoint = std::current_exception();
    why = error.what();
  }
  for (int number = 0; number < RunFolder::kJournals; ++number) {
    try {
      if (std::filesystem::exists(folder.journal(number))) newest.look_at(folder.journal(number));
    } catch (const Error& error) {
      add("a file of the journal is passed over", error.what());
    }
  }
  if (!no_checkpoint) return newest.path();
  if (newest.path().empty()) std::rethrow_exception(no_checkpoint);
  add("the last checkpoint is passed over, since the journal is whole", why);
  return newest.path();
}

}  // namespace

StepJournal::StepJournal(const RunFolder& folder, const std::string& mode, std::int64_t trained, World& world,
                         int second)
    : folder_(folder),
      world_(world),
      second_(second),
      enabled_(is_kept(mode, trained)),
      every_step_(mode == "on" || trained <= kSmall) {}

void StepJournal::keep(const std::string& path) {
  for (int turn = 0; turn < kTurns; ++turn)
    if (path == file(turn)) kept_ = turn;
}

bool StepJournal::is_writer() const {
  const Coordinate& here = world_.here();
  return here.pipe == 0 && here.tensor == 0 && (here.data == 0 || here.data == second_);
}

std::string StepJournal::file(int turn) const {
  return folder_.journal(world_.here().data == 0 ? turn : kTurns + turn);
}

// By rank 0's clock, where a clock is asked.
bool StepJournal::due() {
  if (!enabled_) return false;
  if (every_step_ && !retry_.failing()) return true;
  const PaceClock::time_point now = PaceClock::now();
  const bool due_here = retry_.due(now) && (every_step_ || writes_.due(now));
  return any_of(world_.all(), world_.rank() == 0 && due_here);
}

std::string StepJournal::write(const CheckpointInfo& info, const Parameters& parameters,
                               const OptimizerState& state) {
  // Nothing is sent while the file is written, so that a full disk is one rank's concern.
  GatheredState gathered;
  const int replica = world_.here().data;
  if (replica == 0 || replica == second_) gathered = gather_state(world_, parameters, state);
  std::string problem;
  if (is_writer()) {
    try {
      write_file(info, gathered);
    } catch (const Error& error) {
      problem = error.what();
    }
  }
  const bool failed_before = retry_.failing();
  const bool failed = any_of(world_.all(), !problem.empty());
  if (failed)
    retry_.failed(PaceClock::now());
  else
    retry_.worked();
  if (failed == failed_before) return "";
  if (!failed) return world_.rank() == 0 ? "the journal is written again" : "";
  const std::vector<std::string> problems = gather_texts(world_.all(), problem);
  if (world_.rank() != 0) return "";
  return fmt::format(
      "warning: {}. The run goes on without its journal and tries again: if it is killed before that works, "
      "the steps since the last state that was saved are made again",
      *std::ranges::find_if(problems, [](const std::string& text) { return !text.empty(); }));
}

void StepJournal::write_file(const CheckpointInfo& info, const GatheredState& state) {
  const PaceClock::time_point begin = PaceClock::now();
  const int turn = kept_ == 0 ? 1 : 0;
  const bool sync = syncs_.due(begin);
  write_state(file(turn), info, state, sync ? Durability::kPowerCut : Durability::kProcess);
  const PaceClock::time_point end = PaceClock::now();
  writes_.done(begin, end);
  if (!sync) return;
  syncs_.done(begin, end);
  kept_ = turn;
}

void StepJournal::remove() {
  for (int number = 0; number < RunFolder::kJournals; ++number) {
    std::error_code nothing_to_remove;
    std::filesystem::remove(folder_.journal(number), nothing_to_remove);
  }
}

int replica_elsewhere(World& world, const std::string& host) {
  const int replicas = world.mesh().size(Axis::kData);
  if (replicas == 1) return 0;
  const std::vector<std::string> hosts = gather_texts(world.all(), host);
  const auto host_of = [&](int replica) {
    return hosts[static_cast<std::size_t>(world.mesh().rank({replica, 0, 0}))];
  };
  for (int replica = 1; replica < replicas; ++replica)
    if (host_of(replica) != host_of(0)) return replica;
  return 0;
}

std::unique_ptr<Checkpoint> newest_state(const RunFolder& folder, World& world, std::string& passed_over) {
  require_shared_folder(world.all(), folder.path());
  const std::string path =
      text_of_rank(world.all(), world.rank() == 0 ? newest_path(folder, passed_over) : "");
  return path.empty() ? nullptr : std::make_unique<Checkpoint>(path);
}

}  // namespace trimtab
