// SPDX-License-Identifier: Apache-2.0
#include "launch/trained_arguments.h"

#include <filesystem>

#include "experiments/run_record.h"
#include "launch/launcher.h"
#include "launch/signals.h"
#include "models/methods/tuning_method.h"
#include "runtime/check.h"

namespace trimtab {

std::string TrainedArguments::checkpoint_of(const ExperimentConfig& config) const {
  return checkpoint.empty() ? RunFolder(config.output).best() : checkpoint;
}

void TrainedArguments::check_there(const ExperimentConfig& config) const {
  const std::string path = checkpoint_of(config);
  if (known_place().rank != 0 || !prompts.empty() || std::filesystem::exists(path)) return;
  Subtree options = config.method;
  if (!make_method(options)->trains()) return;
  fail_config(
      "{}: there is no such file; `trimtab train` makes it, or name another by --checkpoint or --prompt",
      path);
}

std::unique_ptr<Experiment> TrainedArguments::open(const ExperimentConfig& config, World& world) const {
  if (!prompts.empty()) return std::make_unique<Experiment>(config, world, files(), stop_requested);
  auto experiment = std::make_unique<Experiment>(config, world, TrainingData::kNone, stop_requested);
  if (experiment->method().trains()) experiment->load_trained(checkpoint_of(config));
  return experiment;
}

void add_trained_arguments(CLI::App& verb, TrainedArguments& arguments) {
  CLI::Option* checkpoint = verb.add_option("--checkpoint", arguments.checkpoint,
                                            "What was trained; default: best.h5 of the output folder");
  verb.add_option(
          "--prompt", arguments.prompts,
          "NAME=PATH, the prompt of a run on this model by its checkpoint or folder, in place of what "
          "the experiment trained; repeated for several, whose lengths may differ")
      ->allow_extra_args(false)
      ->excludes(checkpoint);
}

}  // namespace trimtab
