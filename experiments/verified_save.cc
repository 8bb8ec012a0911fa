// SPDX-License-Identifier: Apache-2.0
#include "experiments/verified_save.h"

#include <cmath>
#include <filesystem>

#include "experiments/probe.h"
#include "runtime/atomic_file.h"

namespace trimtab {
namespace {

// What a checkpoint is called until it has been read back.
std::string unverified(const std::string& path) {
  return std::filesystem::path(path).replace_extension(".unverified.h5").string();
}

}  // namespace

VerifiedSave::VerifiedSave(Experiment& experiment, TrainStep& train_step)
    : experiment_(experiment), train_step_(train_step) {
  if (experiment.method().trains()) probe_ = experiment.probe_rows(kProbeRows);
}

void VerifiedSave::save(const std::string& path, const CheckpointInfo& info, const OptimizerState* state) {
  const CountedCost cost(cost_);
  const double trained = train_step_.score(probe_);
  if (!std::isfinite(trained))
    throw Diverged(fmt::format(
        "after step {}: the loss is {}. The last saved checkpoint is as it was. A lower "
        "optimizer.learning_rate or model.compute=float32 usually helps, in another output folder",
        info.step, trained));
  World& world = experiment_.world();
  world.activity().enter(Phase::kSaving);
  const std::string beside = unverified(path);
  save_checkpoint(world, beside, info, train_step_.counted(), state, experiment_.method().results());
  world.all().barrier();
  verify_saved(beside, experiment_.checkpoint_share(), experiment_.stage(), experiment_.method(),
               experiment_.parameters(), trained, [&] { return train_step_.score(probe_); });
  world.all().barrier();  // all have read it
  if (world.rank() == 0) replace_file(beside, path);
  world.all().barrier();
}

void VerifiedSave::remove_leftovers(const std::string& path) {
  remove_unfinished(path);
  remove_unfinished(unverified(path));
  std::filesystem::remove(unverified(path));
}

}  // namespace trimtab
