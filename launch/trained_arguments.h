// SPDX-License-Identifier: Apache-2.0
//
// What `evaluate` and `predict` put into the frozen model: what the experiment's own run trained, or prompts
// of several runs, each a lane.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "experiments/experiment.h"

namespace trimtab {

struct TrainedArguments {
  std::string checkpoint;
  std::vector<std::string> prompts;

  // The prompts by name; empty where the experiment's own run is used. Throws ConfigError.
  std::vector<PromptFile> files() const { return prompt_files(prompts); }
  // Where what the experiment trained is read from.
  std::string checkpoint_of(const ExperimentConfig& config) const;
  // Throws ConfigError on rank 0 if that is needed and not there: before a job begins, which would make the
  // run's folder.
  void check_there(const ExperimentConfig& config) const;
  // Ready to answer. `world` must outlive it. Throws what Experiment does; Interrupted after a signal.
  std::unique_ptr<Experiment> open(const ExperimentConfig& config, World& world) const;
};

// --checkpoint and --prompt.
void add_trained_arguments(CLI::App& verb, TrainedArguments& arguments);

}  // namespace trimtab
