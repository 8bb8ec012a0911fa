// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "experiments/run_status.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/signals.h"
#include "launch/verbs.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  std::string folder;
  std::string html;
  bool watch = false;
};

constexpr const char* kClear = "\x1b[H\x1b[2J";

void show(const Options& options, const std::vector<RunStatus>& runs, bool again) {
  if (!options.html.empty()) write_file_atomically(options.html, status_page(options.folder, runs, again));
  if (options.watch && isatty(STDOUT_FILENO) != 0) std::fputs(kClear, stdout);
  std::fputs(status_text(runs).c_str(), stdout);
  std::fflush(stdout);
}

int run(const Options& options) {
  require_one_process("status");
  for (;;) {
    const std::vector<RunStatus> runs = status_of(options.folder);
    const bool again = options.watch && std::ranges::any_of(runs, &RunStatus::runs);
    show(options, runs, again);
    if (!again) return kSuccess;
    for (int tenths = 0; tenths < 20; ++tenths) {
      if (stop_requested()) return kSuccess;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

}  // namespace

Verb add_status(CLI::App& program) {
  CLI::App* app = program.add_subcommand("status", "How a run is doing, also while it runs");
  app->footer(
      "Example:\n  trimtab status runs/rte --watch\n"
      "Reads the folder of a run, or of a comparison, and asks nothing of the run itself: who runs it, how "
      "far "
      "it\nis, its loss and best score, the age of its checkpoint and journal, and what each rank does.");
  const auto options = std::make_shared<Options>();
  app->add_option("folder", options->folder, "Run folder, or a folder with runs below it")->required();
  app->add_option("--html", options->html, "Also write one page with curves, which needs no other file");
  app->add_flag("--watch", options->watch, "Again every two seconds, as long as anything runs");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
