// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <optional>

#include "experiments/request_check.h"
#include "experiments/run_lock.h"
#include "experiments/trainer.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/run_environment.h"
#include "launch/signals.h"
#include "launch/verbs.h"
#include "runtime/agreement.h"

namespace trimtab {
namespace {

struct Options {
  ExperimentArguments experiment;
  bool print_config = false;
  bool dry_run = false;
};

int check_only(const ExperimentConfig& config, World& world) {
  Console out = console(config.train.log_seconds);
  Experiment experiment(config, world, TrainingData::kLoad, stop_requested);
  if (world.rank() != 0) return kSuccess;
  for (const std::string& warning : experiment.warnings()) out.out << "warning: " << warning << '\n';
  const std::string example = experiment.first_example();
  if (!example.empty()) out.out << "first example: " << example << '\n';
  out.out << "dry run: everything was read and checked, nothing was trained\n";
  return kSuccess;
}

// Before anything is written into its folder, which may be another job's. Held by the first rank, for all.
std::optional<FileLock> take_run(const ExperimentConfig& config, World& world) {
  std::optional<FileLock> lock;
  std::string holder;
  if (world.rank() == 0) {
    lock = try_lock_run(config.output);
    if (!lock) holder = lock_holder(config.output);
  }
  holder = text_of_rank(world.all(), holder);
  if (!holder.empty()) fail_taken(config.output, holder);
  return lock;
}

int train(const ExperimentConfig& config, World& world) {
  Console out = console(config.train.log_seconds);
  Experiment experiment(config, world, TrainingData::kLoad, stop_requested);
  Trainer trainer(experiment, out);
  return trainer.run(stop_requested) ? kSuccess : kInterrupted;
}

int run(const Options& options) {
  ExperimentConfig config = options.experiment.load();
  if (options.print_config) {
    std::fputs(dump_config(resolved(config)).c_str(), stdout);
    return kSuccess;
  }
  check_request(config);
  const SourceFile source = source_of(options.experiment.file);
  Job job(config);
  World world = job.world(config);
  try {
    if (options.dry_run) return check_only(config, world);
    const std::optional<FileLock> lock = take_run(config, world);
    job.log_into(config.output);
    const auto watch = job.watch(world, config);
    write_environment(config.output, source, world);
    return train(config, world);
  } catch (const Interrupted&) {
    if (world.rank() == 0)
      std::fputs("stopped before the first step of this start: nothing to save; the same command goes on\n",
                 stderr);
    return kInterrupted;
  }
}

}  // namespace

Verb add_train(CLI::App& program) {
  CLI::App* app = program.add_subcommand("train", "Train what an experiment file names, and score it");
  app->footer(
      "Example:\n  trimtab train rte-prompt.yaml --set method.length=20 --set output=runs/rte-20\n"
      "The run folder then holds config.yaml, record.json, metrics.jsonl, tb/, best.h5 and last.h5. The same "
      "command goes\n"
      "on where a stopped or killed run was, with the same result as if it had not been stopped.");
  const auto options = std::make_shared<Options>();
  add_experiment_arguments(*app, options->experiment);
  app->add_flag("--print-config", options->print_config, "Print the experiment with all defaults and end");
  app->add_flag("--dry-run", options->dry_run, "Read and check everything, train nothing");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
