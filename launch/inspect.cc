// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "experiments/gguf_file.h"
#include "experiments/plot.h"
#include "experiments/prompt_inspection.h"
#include "experiments/prompt_plots.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/verbs.h"
#include "models/family.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  InspectRequest request;
  std::size_t rows = 20;
  bool json = false;
  bool nearest = false;
  std::string picture;
};

void draw_picture(const Inspections& inspections, const std::string& path) {
  const std::string pictures = without_picture_ending(path);
  const PromptPicture picture = prompt_picture(inspections, pictures);
  std::string why;
  if (!draw_script(picture.script, picture.data, pictures, why)) fail("--picture: {}", why);
  std::fprintf(stderr, "picture: %s.png\n", pictures.c_str());
}

// A folder that is no adapter of PEFT's, a GGUF, or an .h5 that is no checkpoint.
bool is_model(const std::string& file) {
  if (std::filesystem::is_directory(file)) return !std::filesystem::exists(file + "/adapter_config.json");
  return is_gguf(file) || (file.ends_with(".h5") && !is_checkpoint(file));
}

// What is no prompt: a model, or a checkpoint of a method that trains something else. Whether it was one.
bool show_otherwise(const Options& options) {
  const std::string& file = options.request.files.front();
  std::string text;
  if (is_model(file)) {
    if (options.json) fail_config("--json: {} is a model; it is shown as text only", file);
    text = open_model(file)->summary() + "\n";
    if (is_gguf(file)) text += describe(Gguf(file));
  } else if (!std::filesystem::is_directory(file) && is_checkpoint(file)) {
    const auto trained = trained_without_prompt(file);
    if (trained.empty()) return false;
    text = options.json ? trained_json(trained) : trained_text(trained);
  } else {
    return false;
  }
  if (!options.picture.empty()) fail_config("--picture: {} holds no prompt", file);
  std::fputs(text.c_str(), stdout);
  return true;
}

// Where a run on the first prompt's task best begins (Vu et al. 2022, section 3.3).
int show_nearest(const Options& options) {
  if (options.request.files.size() < 2)
    fail_config("--nearest: one prompt; name that of the new task first, and behind it those to choose from");
  if (!options.picture.empty() || options.json)
    fail_config("--nearest prints one path: leave out --json and --picture");
  InspectRequest request;
  request.files = options.request.files;
  const Inspections inspections = inspect_prompts(request);
  const std::vector<PromptLikeness>& like = inspections.likeness.front();
  const auto best = std::ranges::max_element(like.begin() + 1, like.end(), {}, &PromptLikeness::averaged);
  for (std::size_t i = 1; i < like.size(); ++i)
    std::fprintf(stderr, "%6.3f  %s\n", like[i].averaged, options.request.files[i].c_str());
  std::printf("%s\n", options.request.files[static_cast<std::size_t>(best - like.begin())].c_str());
  return kSuccess;
}

int run(const Options& options) {
  if (options.nearest) return show_nearest(options);
  if (!options.picture.empty()) without_picture_ending(options.picture);
  if (options.request.files.size() == 1 && show_otherwise(options)) return kSuccess;
  const Inspections inspections = inspect_prompts(options.request);
  const std::string text =
      options.json ? inspection_json(inspections) : inspection_text(inspections, options.rows);
  std::fputs(text.c_str(), stdout);
  if (!options.picture.empty()) draw_picture(inspections, options.picture);
  return kSuccess;
}

}  // namespace

Verb add_inspect(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("inspect", "Show what prompts learned (checkpoint, .npy, PEFT), or a model");
  app->footer(
      "Example:\n  trimtab inspect runs/rte/best.h5 --weights models/t5-small.h5 --picture rte.png\n"
      "  trimtab inspect runs/rte/seed=*/best.h5 --json      (how alike they are)\n"
      "  trimtab inspect runs/early/best.h5 runs/*/best.h5 --nearest  (which one to begin with)");
  const auto options = std::make_shared<Options>();
  InspectRequest& request = options->request;
  app->add_option("files", request.files, "Prompts to show and compare, or one model")->required();
  app->add_option("--weights", request.weights, "Name each row's nearest vocabulary pieces in this model");
  app->add_option("--vocabulary", request.vocabulary,
                  "SentencePiece model; default: the one with the weights");
  app->add_option("--labels", request.labels,
                  "Look for these among the neighbours; default: those of the checkpoint's task")
      ->delimiter(',')
      ->allow_extra_args(false);
  app->add_option("--initial", request.initial,
                  "What the prompt began as, if its run did not begin with a file that is still there");
  app->add_option("--neighbours", request.neighbours, "Pieces of each row")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app->add_option("--rows", options->rows, "Rows to name")->check(at_least(0))->capture_default_str();
  app->add_flag("--nearest", options->nearest,
                "Print which of the other files is most like the first, by the cosine of averaged prompts");
  app->add_flag("--json", options->json, "All of it for programs");
  app->add_option("--picture", options->picture,
                  "Draw norms and nearest cosines of one prompt, or how alike several are, as .png and .svg");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
