// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "experiments/comparison.h"
#include "experiments/trainer.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/signals.h"
#include "launch/verbs.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  std::string file;
  std::vector<std::string> overrides;
  bool print_config = false;
  bool dry_run = false;
};

// False: stopped by a signal.
bool run_one(const ExperimentConfig& config, bool dry_run, Job& job, Console& out) {
  World world = job.world(config);
  const auto watch = job.watch(world, config);
  try {
    Experiment experiment(config, world, TrainingData::kLoad, stop_requested);
    return dry_run || Trainer(experiment, out).run(stop_requested);
  } catch (const Interrupted&) {
    return false;
  }
}

void report(const ComparisonConfig& comparison, const std::vector<ComparedResult>& results,
            const std::string& split, Console& out) {
  const std::string table = comparison_table(results, split);
  write_file_atomically(comparison.output + "/table.md", table);
  std::string why;
  const std::string picture = comparison.output + "/curves";
  if (!draw(comparison_plot(comparison.name, results, split), picture, why))
    out.out << "no picture: " << why << '\n';
  else
    out.out << "picture: " << picture << ".png\n";
  out.out.flush();
  std::fputs(table.c_str(), stdout);
}

int run(const Options& options) {
  const ComparisonConfig comparison = load_comparison(options.file);
  std::vector<ExperimentConfig> experiments;
  for (const ComparedRun& one : comparison.runs)
    experiments.push_back(resolved(experiment_of(comparison, one, options.overrides)));
  if (options.print_config) {
    for (const ExperimentConfig& config : experiments) std::printf("---\n%s", dump_config(config).c_str());
    return kSuccess;
  }
  Job job;
  Console out = console(experiments.front().train.log_seconds);
  std::vector<ComparedResult> results;
  bool failed = false;
  for (std::size_t i = 0; i < experiments.size(); ++i) {
    const ExperimentConfig& config = experiments[i];
    if (!options.dry_run && is_finished(config)) {
      if (job.speaks()) out.out << config.name << ": finished before\n";
    } else {
      try {
        if (!run_one(config, options.dry_run, job, out)) return kInterrupted;
      } catch (const ConfigError&) {
        throw;
      } catch (const Error& error) {
        if (!job.alone()) throw;  // the other ranks may still be in this run
        // What the others can show is worth having.
        out.out << config.name << ": " << error.what() << '\n' << std::flush;
        failed = true;
      }
    }
    results.push_back(
        {comparison.runs[i].name, config.output, load_record(RunFolder(config.output).record())});
  }
  if (!options.dry_run && job.speaks()) report(comparison, results, experiments.front().evaluate.split, out);
  return failed ? kFailure : kSuccess;
}

}  // namespace

Verb add_compare(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("compare", "Run several variants of an experiment; one table, one picture");
  app->footer(
      "Example:\n  trimtab compare experiments/quickstart/quickstart.yaml\n"
      "The file names a base experiment and runs, each with its overrides:\n"
      "  name: rte\n  output: runs/rte\n  base: rte-prompt.yaml\n  runs:\n"
      "    - {name: prompt-20, set: [method.length=20, train.seed=2]}\n"
      "    - {name: zero-shot, set: ['method={name: zero_shot}']}\n"
      "Finished runs are not repeated, interrupted ones go on.");
  const auto options = std::make_shared<Options>();
  app->add_option("comparison", options->file, "YAML file")->required();
  app->add_option("--set", options->overrides, "key=value for every run; may be repeated")
      ->allow_extra_args(false);
  app->add_flag("--print-config", options->print_config,
                "Print each run's experiment with all defaults and end");
  app->add_flag("--dry-run", options->dry_run, "Read and check everything, train nothing");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
