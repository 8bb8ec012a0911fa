// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "experiments/machine.h"
#include "launch/devices.h"
#include "launch/guard.h"
#include "launch/verbs.h"
#include "runtime/atomic_file.h"

namespace trimtab {
namespace {

// Folders of data: $TRIMTAB_SHARED/data, or ../shared/data beside the folder in which the program was
// started.
std::filesystem::path data_folder() {
  const char* shared = std::getenv("TRIMTAB_SHARED");
  return std::filesystem::path(shared != nullptr ? shared : "../shared") / "data";
}

void print_data() {
  const std::filesystem::path folder = data_folder();
  std::error_code error;
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    names.insert(entry.path().filename().string());
  if (names.empty()) {
    std::printf("data         none in %s (set TRIMTAB_SHARED to the folder that holds data/)\n",
                folder.c_str());
    return;
  }
  std::printf("data         %s\n", folder.c_str());
  for (const std::string& name : names) std::printf("               %s\n", name.c_str());
}

int run() {
  for (const auto& [what, version] : versions()) std::printf("%-12s %s\n", what.c_str(), version.c_str());
  std::printf("%-12s %s\n", "host", host_name().c_str());
  std::printf("%-12s %d\n", "cores", usable_cores());
  std::printf("%-12s %s available\n", "memory", readable_bytes(available_memory()).c_str());
  std::printf("%-12s %s\n", "processor", instruction_sets().c_str());
  std::printf("%-12s %s\n", "cuda", device_report().c_str());
  std::printf("%-12s %s\n", "gnuplot",
              std::system("gnuplot --version > /dev/null 2>&1") == 0
                  ? "installed"
                  : "not installed: compare draws no pictures (apt-get install gnuplot-nox)");
  print_data();
  return kSuccess;
}

}  // namespace

Verb add_doctor(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("doctor", "Print versions, the machine, and the data that can be found");
  return {app, run};
}

}  // namespace trimtab
