// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "experiments/parameter_counts.h"
#include "launch/guard.h"
#include "launch/verbs.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  bool parameters = false;
  std::vector<std::string> models;
  CountRequest counts;
  std::string format = "text", picture;
};

void check_positive(const char* flag, const std::vector<std::int64_t>& values) {
  for (const std::int64_t value : values)
    if (value < 1) fail_config("{}: {} is less than 1", flag, value);
}

// Figure 4 and table 4 of the paper, for the paper's models or for others.
int show_parameters(const Options& options) {
  CountRequest request = options.counts;
  check_positive("--lengths", request.lengths);
  check_positive("--ranks", request.ranks);
  check_positive("--ids", request.ids);
  const TableFormat format = parse_table_format(options.format);
  const std::string picture = options.picture.empty() ? "" : without_picture_ending(options.picture);
  const std::vector<std::string> models =
      options.models.empty() ? std::vector<std::string>{"small", "base", "large", "xl", "xxl"}
                             : options.models;
  for (const std::string& model : models) request.models.push_back(sizes_of_model(model));
  std::fputs(count_table(request, format).c_str(), stdout);
  if (picture.empty()) return kSuccess;
  std::string why;
  if (!draw(count_plot(request), picture, why)) fail("--picture: {}", why);
  std::fprintf(stderr, "picture: %s.png\n", picture.c_str());
  return kSuccess;
}

int run(const Options& options) {
  if (options.parameters) return show_parameters(options);
  fail_config("plan: say what is to be planned: --parameters");
}

}  // namespace

Verb add_plan(CLI::App& program) {
  CLI::App* app = program.add_subcommand("plan", "Tell what a run would need, without running it");
  app->footer(
      "Example:\n  trimtab plan --parameters --methods prompt_tuning --format markdown\n"
      "  trimtab plan --parameters models/smollm2 --ranks 4,8,16 --picture parameters.png");
  const auto options = std::make_shared<Options>();
  app->add_flag("--parameters", options->parameters,
                "How many numbers each method trains, as in figure 4 and table 4 of the paper");
  app->add_option("models", options->models,
                  "Sizes of T5 1.1 (small, base, large, xl, xxl; default: all), or models on disk");
  app->add_option("--methods", options->counts.methods, "Default: all")
      ->delimiter(',')
      ->allow_extra_args(false);
  app->add_option("--lengths", options->counts.lengths, "Of prompts and prefixes")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app->add_option("--ranks", options->counts.ranks, "Of LoRA")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app->add_option("--ids", options->counts.ids, "Of a written prompt")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app->add_option("--format", options->format, "text, markdown or csv")->capture_default_str();
  app->add_option(
      "--picture", options->picture,
      "Draw the shares over the sizes as .png and .svg (lengths from 1 to 100 and 500 to 2000 ids "
      "as in the paper)");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
