// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "data/batcher.h"
#include "experiments/experiment.h"
#include "experiments/run_record.h"
#include "experiments/to_micro_batch.h"
#include "launch/console.h"
#include "launch/devices.h"
#include "launch/guard.h"
#include "launch/job.h"
#include "launch/verbs.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::size_t kRowsAtOnce = 256;

struct Options {
  ExperimentArguments experiment;
  std::string checkpoint;
  std::string field = "input";
};

// The input in a line: the line itself, or a field of it when it is a JSON object.
std::string input_of(const std::string& line, const std::string& field, std::size_t number) {
  if (line.empty() || line.front() != '{') return line;
  const auto row = nlohmann::json::parse(line, nullptr, false);
  if (row.is_discarded()) fail("standard input:{}: the line begins as a JSON object but is none", number);
  if (!row.contains(field) || !row[field].is_string())
    fail("standard input:{}: the row has no text in the field '{}' (see --field)", number, field);
  return row[field].get<std::string>();
}

std::vector<std::string> answers_of(Experiment& experiment, const std::vector<TextExample>& examples) {
  RecipeCounts counts;
  const LabelRanking* ranking = experiment.ranking();
  const ExampleStore store =
      ranking ? ranking->rows(examples, counts) : experiment.recipe().encode(examples, counts);
  std::vector<std::string> out(store.size());
  std::vector<float> likelihoods(store.size());
  for (const Batch& batch :
       micro_batches(in_order(store, store.size()).front(), experiment.config().evaluate.batch_tokens,
                     experiment.method().extra_positions())) {
    const MicroBatch micro = to_micro_batch(batch, experiment.stage().pad_id());
    if (ranking) {
      const std::vector<float> sums = row_sums(experiment.runner().score({micro}).front(), micro.decoder);
      for (std::size_t row = 0; row < sums.size(); ++row) likelihoods[batch.examples[row]] = sums[row];
    } else {
      const TokenRows ids = experiment.stage().generate(micro, experiment.config().text.max_target);
      for (std::size_t row = 0; row < ids.size(); ++row)
        out[batch.examples[row]] = experiment.recipe().decode_target(ids[row]);
    }
  }
  return ranking ? ranking->best(likelihoods) : out;
}

void answer(Experiment& experiment, std::vector<TextExample>& examples) {
  for (std::string& text : answers_of(experiment, examples)) {
    std::ranges::replace(text, '\n', ' ');
    std::cout << text << '\n';
  }
  std::cout.flush();
  examples.clear();
}

int run(const Options& options) {
  require_one_process("predict");
  const ExperimentConfig config = options.experiment.load();
  World world = solo_world(device_communicators(config, {}));
  Experiment experiment(config, world, TrainingData::kNone);
  if (experiment.method().trains())
    experiment.load_trained(options.checkpoint.empty() ? RunFolder(experiment.config().output).best()
                                                       : options.checkpoint);
  std::vector<TextExample> examples;
  std::size_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    TextExample example;
    example.input = input_of(line, options.field, ++number);
    examples.push_back(std::move(example));
    if (examples.size() == kRowsAtOnce) answer(experiment, examples);
  }
  if (!examples.empty()) answer(experiment, examples);
  if (number == 0) fail("standard input is empty: give one text or JSON object a line");
  return kSuccess;
}

}  // namespace

Verb add_predict(CLI::App& program) {
  CLI::App* app = program.add_subcommand("predict", "Answer each line of standard input with one line");
  app->footer(
      "Example:\n  echo 'a fruit with red skin' | trimtab predict experiments/quickstart/wordnet.yaml\n"
      "Lines are texts as the task forms them, or JSON objects with the text in a field.");
  const auto options = std::make_shared<Options>();
  add_experiment_arguments(*app, options->experiment);
  app->add_option("--checkpoint", options->checkpoint,
                  "What was trained; default: best.h5 of the output folder");
  app->add_option("--field", options->field, "Field of JSON rows that holds the text")->capture_default_str();
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
