// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/pretrainer.h"
#include "experiments/run_lock.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/signals.h"
#include "launch/verbs.h"

namespace trimtab {
namespace {

struct Options {
  std::string recipe;
  std::vector<std::string> overrides;
  bool print_config = false;
  bool dry_run = false;
};

int run(const Options& options) {
  auto config = load_config<PretrainConfig>(options.recipe, options.overrides);
  config.core_hints = core_hints();
  if (options.print_config) {
    std::fputs(dump_config(config).c_str(), stdout);
    return kSuccess;
  }
  require_one_process("pretrain");
  catch_stop_signals();
  World world = solo_world();
  Console out = console(config.train.log_seconds);
  std::optional<FileLock> lock;
  if (!options.dry_run) {
    lock = try_lock_run(config.output);
    if (!lock) fail_taken(config.output, lock_holder(config.output));
  }
  Pretrainer pretrainer(config, world, out);
  if (options.dry_run) {
    out.out << "dry run: everything was read, nothing was trained\n";
    return kSuccess;
  }
  return pretrainer.run(stop_requested) ? kSuccess : kInterrupted;
}

}  // namespace

Verb add_pretrain(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("pretrain", "Train a T5 on plain text: from random weights, or to adapt one");
  app->footer(
      "Example:\n  trimtab vocabulary --out runs/spiece.model novels/*.txt\n"
      "  trimtab pretrain recipe.yaml --set train.steps=20000\n"
      "The same command goes on where a stopped or killed run was.");
  const auto options = std::make_shared<Options>();
  app->add_option("recipe", options->recipe, "YAML file")->required();
  app->add_option("--set", options->overrides, "key=value, any key of the recipe; may be repeated")
      ->allow_extra_args(false);
  app->add_flag("--print-config", options->print_config, "Print the recipe with all defaults and end");
  app->add_flag("--dry-run", options->dry_run, "Read and check everything, train nothing");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
