// SPDX-License-Identifier: Apache-2.0
#include "launch/console.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "launch/launcher.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {

Console console(double line_seconds) { return {std::cerr, isatty(STDERR_FILENO) != 0, line_seconds}; }

void choose_cache(ExperimentConfig& config, const std::string& otherwise) {
  if (!config.text.cache.empty()) return;
  const char* folder = std::getenv("TRIMTAB_CACHE");
  config.text.cache = folder != nullptr && *folder != '\0' ? folder : otherwise;
}

CoreHints core_hints() { return {threads_wanted(environment()), cores_of_task(environment())}; }

ExperimentConfig ExperimentArguments::load() const {
  ExperimentConfig config = load_experiment(file, overrides);
  choose_cache(config);
  config.core_hints = core_hints();
  return config;
}

void add_experiment_arguments(CLI::App& verb, ExperimentArguments& arguments) {
  verb.add_option("experiment", arguments.file, "YAML file")->required();
  verb.add_option("--set", arguments.overrides,
                  "key=value, any key of the file, as in --set train.steps=200; may be repeated")
      ->allow_extra_args(false);
}

CLI::Validator at_least(std::int64_t least) {
  const auto check = [least](const std::string& text) {
    std::int64_t value = 0;
    const bool is_number = CLI::detail::lexical_cast(text, value);  // what is none, CLI11 refuses itself
    return !is_number || value >= least
               ? std::string()
               : fmt::format("{} is less than {}; give {} or more, or leave it out", text, least, least);
  };
  return {check, fmt::format("AT LEAST {}", least)};
}

void check_output_file(const std::string& option, const std::string& path) {
  if (path.empty()) return;
  try {
    const AtomicPath writable(path);
  } catch (const Error& error) {
    fail_config("{}: {}; name another file", option, error.what());
  }
}

void OutputArgument::check() const {
  namespace fs = std::filesystem;
  std::error_code seen_by_writing;
  if (overwrite || !fs::exists(path, seen_by_writing)) return;
  const bool is_folder = fs::is_directory(path, seen_by_writing);
  if (is_folder && fs::is_empty(path, seen_by_writing)) return;
  fail_config("{}: is there already{}; name another path, or add --overwrite", path,
              is_folder ? " and not empty" : "");
}

CLI::Option* add_output_argument(CLI::App& verb, OutputArgument& argument, const std::string& name,
                                 const std::string& help) {
  verb.add_flag("--overwrite", argument.overwrite, "Write over what is there under this name");
  return verb.add_option(name, argument.path, help);
}

}  // namespace trimtab
