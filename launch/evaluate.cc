// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "experiments/ensemble.h"
#include "experiments/experiment.h"
#include "launch/beside_run.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/signals.h"
#include "launch/submission_files.h"
#include "launch/trained_arguments.h"
#include "launch/verbs.h"
#include "runtime/atomic_file.h"
#include "runtime/check.h"
#include "runtime/log.h"

namespace trimtab {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ExperimentArguments experiment;
  TrainedArguments trained;
  bool ensemble = false;
  bool by_task = false;
  std::string split;
  std::string predictions;
  std::string submission;
  std::string format = "text";
};

// What was found: of one checkpoint, or of each prompt in one pass.
struct Findings {
  std::string split;
  std::vector<PromptFile> prompts;      // empty for one checkpoint
  std::vector<std::int64_t> positions;  // of the prompts
  std::vector<Evaluation> evaluations;
  std::optional<EnsembleScores> ensemble;
};

// Predictions are bytes, JSON is UTF-8.
std::string text_of(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

void write_predictions(const std::string& path, const Evaluator& evaluator, const Findings& found) {
  std::string out;
  for (std::size_t i = 0; i < evaluator.examples().size(); ++i) {
    const TextExample& example = evaluator.examples()[i];
    Json row = {{"id", example.id}};
    if (found.prompts.empty()) row["prediction"] = found.evaluations.front().predictions[i];
    if (found.ensemble) row["prediction"] = found.ensemble->predictions[i];
    for (std::size_t lane = 0; lane < found.prompts.size(); ++lane)
      row["predictions"][found.prompts[lane].name] = found.evaluations[lane].predictions[i];
    row["target"] = example.target;
    out += text_of(row) + "\n";
  }
  write_file_atomically(path, out);
}

Json json_of(const SplitScores& scores) {
  if (scores.metrics.empty()) return Json::object();
  Json metrics;
  for (const auto& [name, value] : scores.metrics) metrics[name] = value;
  return {{"metrics", metrics}, {"score", scores.main_value()}, {"invalid_labels", scores.invalid}};
}

Json json_of(const Findings& found) {
  const Evaluation& first = found.evaluations.front();
  Json out = {{"split", found.split},
              {"examples", first.scores.examples},
              {"cut_inputs", first.scores.cut_inputs},
              {"seconds", first.seconds}};
  if (!first.scores.metrics.empty()) out["main"] = first.scores.main;
  if (found.prompts.empty()) out.update(json_of(first.scores));
  for (std::size_t lane = 0; lane < found.prompts.size(); ++lane) {
    Json prompt = {{"name", found.prompts[lane].name},
                   {"file", found.prompts[lane].path},
                   {"length", found.positions[lane]}};
    prompt.update(json_of(found.evaluations[lane].scores));
    out["prompts"].push_back(std::move(prompt));
  }
  if (!found.ensemble) return out;
  out["average"] = json_of(found.ensemble->average);
  out["average"].erase("invalid_labels");
  out["best"] = {{"name", found.prompts[found.ensemble->best].name}};
  out["best"].update(json_of(found.evaluations[found.ensemble->best].scores));
  out["ensemble"] = json_of(found.ensemble->ensemble);
  out["agreement"] = found.ensemble->agreement;
  return out;
}

void print_one(const SplitScores& scores) {
  for (const auto& [name, value] : scores.metrics) std::printf("%-20s %.2f\n", name.c_str(), value);
  std::printf("%-20s %lld\n", "examples", static_cast<long long>(scores.examples));
  if (!scores.metrics.empty())
    std::printf("%-20s %lld\n", "invalid labels", static_cast<long long>(scores.invalid));
  std::printf("%-20s %lld\n", "cut inputs", static_cast<long long>(scores.cut_inputs));
}

// A line a prompt, then what they come to together.
void print_several(const Findings& found) {
  std::vector<std::pair<std::string, const SplitScores*>> lines;
  for (std::size_t lane = 0; lane < found.prompts.size(); ++lane)
    lines.emplace_back(found.prompts[lane].name, &found.evaluations[lane].scores);
  if (found.ensemble && !found.ensemble->ensemble.metrics.empty()) {
    lines.emplace_back("average", &found.ensemble->average);
    lines.emplace_back("best: " + found.prompts[found.ensemble->best].name,
                       &found.evaluations[found.ensemble->best].scores);
    lines.emplace_back("ensemble", &found.ensemble->ensemble);
  }
  std::size_t width = 20;
  for (const auto& [name, scores] : lines) width = std::max(width, name.size());
  std::string out = fmt::format("{:<{}}", "prompt", width);
  const SplitScores& first = *lines.front().second;
  for (const auto& [name, value] : first.metrics) out += fmt::format("  {:>11}", name);
  if (!first.metrics.empty()) out += fmt::format("  {:>11}", "invalid");
  for (const auto& [name, scores] : lines) {
    out += fmt::format("\n{:<{}}", name, width);
    for (const auto& [metric, value] : scores->metrics) out += fmt::format("  {:>11.2f}", value);
    if (!scores->metrics.empty() && (!found.ensemble || scores != &found.ensemble->average))
      out += fmt::format("  {:>11}", scores->invalid);
  }
  out += fmt::format("\n{:<{}}  {:>11}\n{:<{}}  {:>11}\n", "examples", width, first.examples, "cut inputs",
                     width, first.cut_inputs);
  if (found.ensemble)
    out += fmt::format("{:<{}}  {:>11.2f}\n", "all agree on", width, found.ensemble->agreement);
  std::fputs(out.c_str(), stdout);
}

void print(const Findings& found, const std::string& format) {
  if (format == "json")
    std::printf("%s\n", text_of(json_of(found), 2).c_str());
  else if (found.prompts.empty())
    print_one(found.evaluations.front().scores);
  else
    print_several(found);
}

// For a server, which wants the whole split.
void check_all_rows(const ExperimentConfig& config, const std::string& split) {
  const auto refuse = [](const char* key, std::int64_t rows) {
    fail_config("--submission: {}: {}, but a submission is of all rows; set it to 0", key, rows);
  };
  if (config.evaluate.max_examples > 0) refuse("evaluate.max_examples", config.evaluate.max_examples);
  if (split == config.evaluate.split && config.text.dev_rows > 0)
    refuse("text.dev_rows", config.text.dev_rows);
}

// What could not be given out at the end is said before the model is asked.
void check_outputs(const Options& options, const Evaluator& evaluator, const std::string& split) {
  if (!evaluator.has_targets() && options.predictions.empty() && options.submission.empty())
    fail_config(
        "the split '{}' of {} has no targets: it can be predicted, not scored; name a file for --predictions "
        "or a folder for --submission",
        split, evaluator.task().name());
  if (!options.submission.empty()) check_submission(options.submission, evaluator);
  if (!options.predictions.empty()) const AtomicPath writable(options.predictions);
}

void write_outputs(const Options& options, const Evaluator& evaluator, const Findings& found) {
  if (!options.predictions.empty()) write_predictions(options.predictions, evaluator, found);
  if (options.submission.empty()) return;
  const auto& answers = found.ensemble ? found.ensemble->predictions : found.evaluations.front().predictions;
  for (const std::string& line : write_submission(options.submission, evaluator, answers))
    TT_LOG(info, "{}", line);
}

int score(const Options& options, const ExperimentConfig& config, const std::vector<PromptFile>& prompts,
          World& world) {
  const auto experiment = options.trained.open(config, world);
  Findings found;
  found.split = options.split.empty() ? config.evaluate.split : options.split;
  if (!options.by_task) found.prompts = prompts;
  found.positions = experiment->method().lane_positions();
  if (!options.submission.empty()) check_all_rows(config, found.split);
  const auto by_task = [&](const TextExample& example) {
    return lane_of_task(prompts, experiment->task().task_of(example));
  };
  const Evaluator& evaluator =
      options.by_task ? experiment->evaluator(found.split, by_task) : experiment->evaluator(found.split);
  if (world.rank() == 0) check_outputs(options, evaluator, found.split);
  found.evaluations = evaluator.run_lanes(experiment->runner(), stop_requested);
  if (options.ensemble) found.ensemble = score_ensemble(evaluator, found.evaluations);
  if (world.rank() != 0) return kSuccess;
  write_outputs(options, evaluator, found);
  print(found, options.format);
  return kSuccess;
}

int run(const Options& options) {
  const std::vector<PromptFile> prompts = options.trained.files();
  if (options.ensemble && prompts.size() < 2)
    fail_config("--ensemble: {} --prompt; an ensemble is of two prompts or more", prompts.size());
  if (options.by_task && (prompts.empty() || options.ensemble))
    fail_config("--by-task: name a --prompt for each task of the split, and no --ensemble");
  if (!options.submission.empty() && prompts.size() > 1 && !options.ensemble && !options.by_task)
    fail_config("--submission: {} --prompt; name one, or --ensemble", prompts.size());
  const ExperimentConfig config = options.experiment.load();
  options.trained.check_there(config);
  return run_beside(config, "evaluate", [&](World& world) { return score(options, config, prompts, world); });
}

}  // namespace

Verb add_evaluate(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "evaluate", "Score a trained run on a split, or prompts of several runs at once");
  app->footer(
      "Examples:\n"
      "  trimtab evaluate rte-prompt.yaml --split validation --predictions rte.jsonl\n"
      "  trimtab evaluate rte-prompt.yaml --split test --submission superglue\n"
      "  trimtab evaluate rte-prompt.yaml --ensemble --prompt 1=runs/rte/seed=1 --prompt 2=runs/rte/seed=2\n"
      "  trimtab evaluate mixture.yaml --by-task --prompt rte=runs/rte --prompt boolq=runs/boolq");
  const auto options = std::make_shared<Options>();
  add_experiment_arguments(*app, options->experiment);
  add_trained_arguments(*app, options->trained);
  app->add_flag("--ensemble", options->ensemble,
                "Also the majority of the prompts' answers, beside their average and the best of them");
  app->add_flag("--by-task", options->by_task,
                "Each row of a mixture through the prompt that is called as its task, all in one pass");
  app->add_option("--split", options->split, "Default: evaluate.split of the experiment");
  app->add_option("--predictions", options->predictions, "Write each prediction to this JSONL file");
  app->add_option("--submission", options->submission,
                  "Write the files that the benchmark's server takes for this split to this folder");
  app->add_option("--format", options->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
