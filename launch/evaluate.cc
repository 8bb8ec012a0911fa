// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "experiments/experiment.h"
#include "experiments/run_record.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/signals.h"
#include "launch/verbs.h"
#include "runtime/atomic_file.h"

namespace trimtab {
namespace {

struct Options {
  ExperimentArguments experiment;
  std::string checkpoint;
  std::string split;
  std::string predictions;
};

void write_predictions(const std::string& path, const Evaluator& evaluator, const Evaluation& evaluation) {
  std::string out;
  for (std::size_t i = 0; i < evaluation.predictions.size(); ++i) {
    const TextExample& example = evaluator.examples()[i];
    const nlohmann::ordered_json row = {
        {"id", example.id}, {"prediction", evaluation.predictions[i]}, {"target", example.target}};
    out += row.dump() + "\n";
  }
  write_file_atomically(path, out);
}

int score(const Options& options, const ExperimentConfig& config, World& world) {
  Experiment experiment(config, world, TrainingData::kNone, stop_requested);
  const RunFolder folder(experiment.config().output);
  if (experiment.method().trains())
    experiment.load_trained(options.checkpoint.empty() ? folder.best() : options.checkpoint);
  const std::string split = options.split.empty() ? experiment.config().evaluate.split : options.split;
  const Evaluator& evaluator = experiment.evaluator(split);
  const Evaluation evaluation = evaluator.run(experiment.runner(), stop_requested);
  if (world.rank() != 0) return kSuccess;
  for (const auto& [name, value] : evaluation.scores.metrics)
    std::printf("%-20s %.2f\n", name.c_str(), value);
  std::printf("%-20s %lld\n", "examples", static_cast<long long>(evaluation.scores.examples));
  std::printf("%-20s %lld\n", "invalid labels", static_cast<long long>(evaluation.scores.invalid));
  std::printf("%-20s %lld\n", "cut inputs", static_cast<long long>(evaluation.scores.cut_inputs));
  if (!options.predictions.empty()) write_predictions(options.predictions, evaluator, evaluation);
  return kSuccess;
}

int run(const Options& options) {
  const ExperimentConfig config = options.experiment.load();
  Job job;
  World world = job.world(config);
  const auto watch = job.watch(world, config);
  try {
    return score(options, config, world);
  } catch (const Interrupted&) {
    return kInterrupted;
  }
}

}  // namespace

Verb add_evaluate(CLI::App& program) {
  CLI::App* app = program.add_subcommand("evaluate", "Score a trained run on a split");
  app->footer("Example:\n  trimtab evaluate rte-prompt.yaml --split validation --predictions rte.jsonl");
  const auto options = std::make_shared<Options>();
  add_experiment_arguments(*app, options->experiment);
  app->add_option("--checkpoint", options->checkpoint,
                  "What was trained; default: best.h5 of the output folder");
  app->add_option("--split", options->split, "Default: evaluate.split of the experiment");
  app->add_option("--predictions", options->predictions, "Write each prediction to this JSONL file");
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
