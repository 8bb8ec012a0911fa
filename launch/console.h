// SPDX-License-Identifier: Apache-2.0
//
// What the verbs have in common: the stream that words go to, an experiment file with its overrides, counts
// that are not below their least, and an output that is not written over what is there.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/experiment_config.h"
#include "experiments/machine.h"
#include "experiments/run_report.h"

namespace trimtab {

// Standard error, redrawn in place if it is a terminal.
Console console(double line_seconds = 30.0);

// What the environment says of this rank's cores. Throws ConfigError that names a variable which makes no
// sense.
CoreHints core_hints();

struct ExperimentArguments {
  std::string file;
  std::vector<std::string> overrides;

  ExperimentConfig load() const;
};

// Where tokenised splits are kept if the file does not say: $TRIMTAB_CACHE if it is set, else `otherwise`.
void choose_cache(ExperimentConfig& config, const std::string& otherwise = "");

// FILE and --set.
void add_experiment_arguments(CLI::App& verb, ExperimentArguments& arguments);

// For options that count something: a number below `least` is refused with the option's name.
CLI::Validator at_least(std::int64_t least);

// For files that are written at the end: throws ConfigError with the option's name, before work starts, if
// that cannot be. "" is no file.
void check_output_file(const std::string& option, const std::string& path);

// What a verb writes: a file or a folder, which may be all that is left of another run.
struct OutputArgument {
  std::string path;
  bool overwrite = false;

  // Throws ConfigError if something has this name, which is not "", unless it is an empty folder or
  // --overwrite was given.
  void check() const;
};

// The argument or option of this name, and --overwrite.
CLI::Option* add_output_argument(CLI::App& verb, OutputArgument& argument, const std::string& name,
                                 const std::string& help);

}  // namespace trimtab
