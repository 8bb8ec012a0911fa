// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "experiments/parameter_counts.h"
#include "experiments/plan_plots.h"
#include "experiments/plan_report.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/verbs.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  bool parameters = false;
  std::vector<std::string> subjects;  // models, or an experiment file
  CountRequest counts;
  bool ranks_named = false;
  std::string format = "text", picture;
  std::vector<std::string> overrides;
  std::string model, device;
  OutputArgument json;
  int nodes = 0, per_node = 0;
  std::vector<double> tokens;
};

// Figure 4 and table 4 of the paper, for the paper's models or for others.
int show_parameters(const Options& options) {
  CountRequest request = options.counts;
  const TableFormat format = parse_table_format(options.format);
  const std::string picture = options.picture.empty() ? "" : without_picture_ending(options.picture);
  const std::vector<std::string> models =
      options.subjects.empty() ? std::vector<std::string>{"small", "base", "large", "xl", "xxl"}
                               : options.subjects;
  for (const std::string& model : models) request.models.push_back(sizes_of_model(model));
  std::fputs(count_table(request, format).c_str(), stdout);
  if (picture.empty()) return kSuccess;
  std::string why;
  if (!draw(count_plot(request), picture, why)) fail("--picture: {}", why);
  std::fprintf(stderr, "picture: %s.png\n", picture.c_str());
  return kSuccess;
}

PlanRequest request_of(const Options& options) {
  if (options.subjects.size() != 1) fail_config("plan: name one experiment file, or say --parameters");
  PlanRequest request;
  request.config = ExperimentArguments{options.subjects[0], options.overrides}.load();
  request.model = options.model;
  request.device = options.device;
  if (request.device.empty()) request.device = request.config.model.device == "cuda" ? "h100" : "cpu";
  if (options.ranks_named && options.counts.ranks.size() != 1)
    fail_config("--ranks: an experiment runs on one number of ranks");
  place_ranks(request, options.ranks_named ? static_cast<int>(options.counts.ranks[0]) : 0, options.nodes,
              options.per_node);
  if (options.tokens.empty()) return request;
  if (options.tokens.size() != 2 || options.tokens[0] < 1 || options.tokens[1] < 1)
    fail_config("--tokens: expected the mean lengths of inputs and targets, as in --tokens 120,4");
  request.lengths = RowLengths{options.tokens[0], options.tokens[1]};
  return request;
}

// What an experiment needs on each mesh.
int show_steps(const Options& options) {
  options.json.check();
  check_output_file("--json", options.json.path);
  const PlanRequest request = request_of(options);
  const StepPlan plan = plan_steps(request);
  std::fputs(plan_text(plan, request).c_str(), stdout);
  if (!options.json.path.empty())
    write_file_atomically(options.json.path, plan_json(plan, request).dump(2) + "\n");
  const MeshPlan* shown = shown_mesh(plan);
  if (shown != nullptr && !options.picture.empty())
    std::fputs(draw_plan(*shown, plan.device, options.picture).c_str(), stderr);
  if (shown == nullptr) fail_config("plan: a run would be refused on every mesh of {} ranks", request.ranks);
  if (const std::string why = why_nothing_fits(plan); !why.empty()) fail_config("plan: {}", why);
  return kSuccess;
}

int run(const Options& options) {
  require_one_process("plan");
  return options.parameters ? show_parameters(options) : show_steps(options);
}

}  // namespace

Verb add_plan(CLI::App& program) {
  CLI::App* app = program.add_subcommand("plan", "Tell what a run would need, without running it");
  app->footer(
      "Examples:\n  trimtab plan experiment.yaml --device h100 --nodes 4 --gpus-per-node 8 --picture plan\n"
      "  trimtab plan experiment.yaml --ranks 4\n"
      "  trimtab plan --parameters --methods prompt_tuning --format markdown\n"
      "  trimtab plan --parameters models/smollm2 --ranks 4,8,16 --picture parameters.png");
  const auto options = std::make_shared<Options>();
  app->add_option(
      "subjects", options->subjects,
      "An experiment file: memory, messages and seconds on each mesh. With --parameters: sizes of "
      "T5 1.1 (small, base, large, xl, xxl; default: all), or models on disk");
  app->add_option("--set", options->overrides, "A key of the experiment, as in --set mesh.pipe=2")
      ->allow_extra_args(false);
  app->add_option(
      "--model", options->model,
      "In place of model.weights: a T5 1.1 by its size (small, base, large, xl, xxl), or a folder "
      "with the config.json of a Hugging Face model");
  app->add_option("--device", options->device,
                  "h100, h200, a100, or cpu: this machine, measured (default: as model.device says)");
  app->add_option("--nodes", options->nodes, "Machines")->check(at_least(1));
  app->add_option("--gpus-per-node", options->per_node, "Ranks of a machine")->check(at_least(1));
  app->add_option("--tokens", options->tokens,
                  "Mean lengths of inputs and targets, for data that are not here: 120,4")
      ->delimiter(',')
      ->allow_extra_args(false);
  add_output_argument(*app, options->json, "--json", "Write all of it to a file");
  app->add_flag("--parameters", options->parameters,
                "How many numbers each method trains, as in figure 4 and table 4 of the paper");
  app->add_option("--methods", options->counts.methods, "Default: all")
      ->delimiter(',')
      ->allow_extra_args(false);
  app->add_option("--lengths", options->counts.lengths, "Of prompts and prefixes")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(at_least(1))
      ->capture_default_str();
  const CLI::Option* ranks =
      app->add_option("--ranks", options->counts.ranks,
                      "Of the job (default: those of the nodes, or of the experiment's mesh); with "
                      "--parameters: of LoRA")
          ->delimiter(',')
          ->allow_extra_args(false)
          ->check(at_least(1));
  app->add_option("--ids", options->counts.ids, "Of a written prompt")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--format", options->format, "text, markdown or csv")->capture_default_str();
  app->add_option("--picture", options->picture,
                  "A folder for pictures of memory and schedule. With --parameters: draw the shares over the "
                  "sizes as .png "
                  "and .svg (lengths from 1 to 100 and 500 to 2000 ids as in the paper)");
  return {app, [options, ranks] {
            options->ranks_named = ranks->count() > 0;
            return run(*options);
          }};
}

}  // namespace trimtab
