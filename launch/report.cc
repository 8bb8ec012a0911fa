// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "experiments/ensemble_table.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/results_output.h"
#include "launch/verbs.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  std::vector<std::string> folders;
  std::string format = "text";
  std::string pictures;
  std::string title;
  bool no_pictures = false;
  bool mean_over_tasks = false;
  bool ensembles = false;
};

std::string title_of(const Options& options) {
  if (!options.title.empty()) return options.title;
  return std::filesystem::path(options.folders.front()).lexically_normal().string();
}

int run(const Options& options) {
  require_one_process("report");
  const TableFormat format = parse_table_format(options.format);
  if (options.ensembles) {
    std::fputs(write_table(ensemble_lines(options.folders), 2, format).c_str(), stdout);
    return kSuccess;
  }
  std::vector<StoredRun> runs = find_runs(options.folders);
  std::vector<std::string> notes;
  if (options.mean_over_tasks) runs = mean_over_tasks(runs, notes);
  Results results = collate(runs);
  results.notes.insert(results.notes.end(), notes.begin(), notes.end());
  Console out = console();
  if (options.no_pictures) {
    for (const std::string& note : results.notes) out.out << note << '\n';
  } else {
    draw_results(title_of(options), results,
                 options.pictures.empty() ? options.folders.front() : options.pictures, out.out);
  }
  print_table(results, format);
  return results.rows.empty() ? kFailure : kSuccess;
}

}  // namespace

Verb add_report(CLI::App& program) {
  CLI::App* app = program.add_subcommand("report", "Collate finished runs: a table over seeds, and pictures");
  app->footer(
      "Example:\n  trimtab report runs/rte --format markdown > rte.md\n"
      "Runs that differ in the seed alone are one row: mean and sample standard deviation. Columns are the\n"
      "settings that tell rows apart. Pictures (.png, .svg, and .dat and .gp to draw them again): curves, "
      "the\n"
      "score over the steps; by-..., the score over each setting that is a number or the size of the model.");
  const auto options = std::make_shared<Options>();
  app->add_option("folders", options->folders, "Run folders, or folders that hold some")->required();
  app->add_option("--format", options->format, "text, markdown or csv")->capture_default_str();
  app->add_option("--pictures", options->pictures,
                  "Folder of the pictures; default: the first of the folders");
  app->add_option("--title", options->title, "Of the pictures; default: the first of the folders");
  app->add_flag("--no-pictures", options->no_pictures, "Only the table");
  app->add_flag("--mean-over-tasks", options->mean_over_tasks,
                "The mean over the tasks in place of each task, as SuperGLUE's score is");
  app->add_flag("--ensembles", options->ensembles,
                "The files are JSON of `trimtab evaluate --ensemble`, a data set each: the paper's table 3");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
