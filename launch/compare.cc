// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/comparison.h"
#include "experiments/joint_training.h"
#include "experiments/machine.h"
#include "experiments/request_check.h"
#include "experiments/run_lock.h"
#include "experiments/run_state.h"
#include "experiments/trainer.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/results_output.h"
#include "launch/run_environment.h"
#include "launch/signals.h"
#include "launch/verbs.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  std::string file;
  std::string output;
  std::string run;
  std::vector<std::string> overrides;
  int together = 1;
  bool list = false;
  bool print_config = false;
  bool dry_run = false;
};

enum class Outcome { kDone, kTaken, kStopped, kFailed };

constexpr const char* kFinishedBefore = "finished before";

// Takes the run for this job, and says "" or why there is nothing to do. Another process may have finished it
// while we waited for nothing but the lock, hence the second look.
std::string take(const ExperimentConfig& config, std::optional<FileLock>& lock) {
  if (is_finished(config)) return kFinishedBefore;
  lock = try_lock_run(config.output);
  if (!lock) return fmt::format("is being run by {}", lock_holder(config.output));
  return is_finished(config) ? kFinishedBefore : "";
}

void check_only(const ExperimentConfig& config, Job& job) {
  World world = job.world(config);
  const Experiment experiment(config, world, TrainingData::kLoad);
}

Outcome run_one(const ExperimentConfig& config, const SourceFile& source, Job& job, Console& out) {
  std::optional<FileLock> lock;  // of the first rank, for all
  const std::string obstacle = job.ask_first_rank([&] { return take(config, lock); });
  if (!obstacle.empty()) {
    if (job.speaks()) out.out << config.name << ": " << obstacle << '\n' << std::flush;
    return obstacle == kFinishedBefore ? Outcome::kDone : Outcome::kTaken;
  }
  reset_peak_memory();
  World world = job.world(config);
  job.log_into(config.output);
  const auto watch = job.watch(world, config);
  write_environment(config.output, source, world);
  try {
    Experiment experiment(config, world, TrainingData::kLoad, stop_requested);
    return Trainer(experiment, out).run(stop_requested) ? Outcome::kDone : Outcome::kStopped;
  } catch (const Interrupted&) {
    return Outcome::kStopped;
  }
}

// Several runs over one frozen model. Those that somebody else is at are left to it.
Outcome run_together(const std::vector<ExperimentConfig>& configs, const SourceFile& source, Job& job,
                     Console& out) {
  std::vector<FileLock> locks;
  std::vector<ExperimentConfig> taken;
  for (const ExperimentConfig& config : configs) {
    std::optional<FileLock> lock;
    const std::string obstacle = job.ask_first_rank([&] { return take(config, lock); });
    if (lock) locks.push_back(std::move(*lock));
    if (obstacle.empty())
      taken.push_back(config);
    else if (job.speaks())
      out.out << config.name << ": " << obstacle << '\n' << std::flush;
  }
  if (taken.empty()) return Outcome::kDone;
  reset_peak_memory();
  World world = job.world(taken.front());
  job.log_into(taken.front().output);
  const auto watch = job.watch(world, taken.front());
  for (const ExperimentConfig& config : taken) write_environment(config.output, source, world);
  try {
    JointTraining training(taken, world, out, stop_requested);
    if (!training.run(stop_requested)) return Outcome::kStopped;
    for (const std::string& failure : training.failures())
      if (job.speaks()) out.out << failure << '\n' << std::flush;
    return training.failures().empty() ? Outcome::kDone : Outcome::kFailed;
  } catch (const Interrupted&) {
    return Outcome::kStopped;
  }
}

// The runs in the order of the file; those that can share a frozen model in groups of at most `together`.
std::vector<std::vector<ExperimentConfig>> groups(const Comparison& comparison, int together) {
  std::vector<std::vector<ExperimentConfig>> out;
  for (const ComparedRun& run : comparison.runs) {
    const bool shares = together > 1 && can_share_model(run.config);
    const auto with = std::ranges::find_if(out, [&](const std::vector<ExperimentConfig>& group) {
      return shares && group.size() < static_cast<std::size_t>(together) && can_share_model(group.front()) &&
             share_model(group.front(), run.config);
    });
    if (with == out.end())
      out.push_back({run.config});
    else
      with->push_back(run.config);
  }
  return out;
}

// All runs of the comparison that are there, whoever made them.
void report(const Comparison& comparison, Console& out) {
  std::vector<StoredRun> runs;
  for (const ComparedRun& run : comparison.runs)
    if (auto stored = load_run(run.config.output)) runs.push_back(std::move(*stored));
  const Results results = collate(runs);
  draw_results(comparison.name, results, comparison.output, out.out);
  if (results.rows.empty()) return;
  write_file_atomically(comparison.output + "/table.md", results_table(results, TableFormat::kMarkdown));
  print_table(results, TableFormat::kMarkdown);
}

int run_all(const Comparison& comparison, int together, const SourceFile& source, Job& job, Console& out) {
  bool failed = false;
  for (const std::vector<ExperimentConfig>& group : groups(comparison, together)) {
    try {
      const Outcome outcome = group.size() == 1 ? run_one(group.front(), source, job, out)
                                                : run_together(group, source, job, out);
      if (outcome == Outcome::kStopped) return kInterrupted;
      failed = failed || outcome == Outcome::kFailed;
    } catch (const ConfigError&) {
      throw;
    } catch (const Error& error) {
      if (!job.alone()) throw;  // the other ranks may still be in this run
      // What the others can show is worth having.
      out.out << group.front().name << ": " << error.what() << '\n' << std::flush;
      failed = true;
    }
  }
  if (job.speaks()) report(comparison, out);
  return failed ? kFailure : kSuccess;
}

// For a job of an array, which is queued again while somebody else is at its run.
int run_only(const ComparedRun& run, const SourceFile& source, Job& job, Console& out) {
  const Outcome outcome = run_one(run.config, source, job, out);
  if (outcome == Outcome::kStopped) return kInterrupted;
  return outcome == Outcome::kTaken ? kTaken : kSuccess;
}

void list(const Comparison& comparison) {
  std::size_t width = 0;
  for (const ComparedRun& run : comparison.runs) width = std::max(width, run.name.size());
  for (std::size_t i = 0; i < comparison.runs.size(); ++i)
    std::fputs(fmt::format("{:>4}  {:<{}}  {}\n", i + 1, comparison.runs[i].name, width,
                           name_of(state_of(comparison.runs[i].config)))
                   .c_str(),
               stdout);
}

// What is known to be impossible of any run that is still to be made, before the first of them begins. What
// fails otherwise does so in its turn, since the others are worth having.
void check_requests(const Comparison& comparison) {
  for (const ComparedRun& run : comparison.runs) {
    try {
      if (!is_finished(run.config)) check_request(run.config);
    } catch (const ConfigError& error) {
      fail_config("the run {}: {}", run.name, error.what());
    } catch (const Error&) {
    }
  }
}

int run(const Options& options) {
  Comparison comparison = load_comparison(options.file, options.overrides, options.output);
  for (ComparedRun& run : comparison.runs) {
    choose_cache(run.config, comparison.output + "/cache");
    run.config.core_hints = core_hints();
  }
  std::optional<ComparedRun> only;
  if (!options.run.empty()) only = comparison.runs[find_run(comparison, options.run)];
  if (options.list) {
    list(comparison);
    return kSuccess;
  }
  if (only)
    comparison.runs = {*only};
  else
    check_distinct(comparison);
  if (options.print_config) {
    for (const ComparedRun& run : comparison.runs) std::printf("---\n%s", dump_config(run.config).c_str());
    return kSuccess;
  }
  check_requests(comparison);
  const SourceFile source = source_of(options.file);
  // Jobs of an array start side by side.
  Job job(comparison.runs.front().config.mesh,
          Job::start_files(only ? only->config.output : comparison.output));
  Console out = console(comparison.runs.front().config.train.log_seconds);
  if (options.dry_run) {
    for (const ComparedRun& run : comparison.runs) check_only(run.config, job);
    if (job.speaks())
      out.out << fmt::format("dry run: {} runs were read and checked, nothing was trained\n",
                             comparison.runs.size());
    return kSuccess;
  }
  return only ? run_only(*only, source, job, out) : run_all(comparison, options.together, source, job, out);
}

}  // namespace

Verb add_compare(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("compare", "Run several variants of an experiment; one table, pictures");
  app->footer(
      "Example:\n  trimtab compare experiments/quickstart/small-t5.yaml\n"
      "The file names a base experiment, and runs with their overrides, or a grid of settings:\n"
      "  name: rte\n  output: runs/rte\n  base: rte-prompt.yaml\n  runs:\n"
      "    - {name: zero-shot, set: [method.name=zero_shot]}\n"
      "  grid:\n    method.length: [1, 5, 20, 100]\n    train.seed: [1, 2, 3]\n"
      "Finished runs are not repeated, interrupted ones go on, and a run that another process is at is left\n"
      "to it: several may work on one file. For an array of Slurm jobs:\n"
      "  sbatch --array=1-13 --wrap='trimtab compare rte.yaml --run $SLURM_ARRAY_TASK_ID'");
  const auto options = std::make_shared<Options>();
  app->add_option("comparison", options->file, "YAML file")->required();
  app->add_option("--set", options->overrides, "key=value for every run; may be repeated")
      ->allow_extra_args(false);
  app->add_option("--output", options->output, "Folder in place of the file's");
  app->add_option("--run", options->run, "Only the run of this number, counted from 1, or this name");
  app->add_option("--together", options->together,
                  "Up to so many runs that share a frozen model train side by side, each as it would alone")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app->add_flag("--list", options->list, "Print number, name and state of each run and end");
  app->add_flag("--print-config", options->print_config,
                "Print each run's experiment with all defaults and end");
  app->add_flag("--dry-run", options->dry_run, "Read and check everything, train nothing");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
