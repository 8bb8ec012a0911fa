// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "experiments/experiment.h"
#include "launch/beside_run.h"
#include "launch/console.h"
#include "launch/guard.h"
#include "launch/launcher.h"
#include "launch/signals.h"
#include "launch/trained_arguments.h"
#include "launch/verbs.h"
#include "runtime/agreement.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

constexpr std::size_t kRowsAtOnce = 256;  // of each replica and stage

struct Options {
  ExperimentArguments experiment;
  TrainedArguments trained;
  std::string field = "input";
  std::string prompt_field = "prompt";
};

// Texts with the lanes of their prompts.
struct Rows {
  std::vector<std::string> inputs;
  std::vector<std::int32_t> lanes;
};

std::string text_in(const nlohmann::json& row, const std::string& field, const std::string& flag,
                    std::size_t number, const std::string& more = "") {
  if (!row.contains(field) || !row[field].is_string())
    fail("standard input:{}: the row has no text in the field '{}' (see {}){}", number, field, flag, more);
  return row[field].get<std::string>();
}

class RowReader {
 public:
  RowReader(const Options& options, const std::vector<PromptFile>& prompts) : options_(options) {
    for (const PromptFile& prompt : prompts) names_.push_back(prompt.name);
    if (!names_.empty() && options.field == options.prompt_field)
      fail_config("--prompt-field: '{}' is the field of the text too (--field); rename one of them",
                  options.field);
  }

  // A text as it is, or the field of a JSON object.
  void add(const std::string& line, std::size_t number, Rows& rows) const {
    if (line.empty() || line.front() != '{') {
      if (!names_.empty())
        fail("standard input:{}: the row is no JSON object with the name of its prompt in the field '{}'{}",
             number, options_.prompt_field, known());
      rows.inputs.push_back(line);
      rows.lanes.push_back(0);
      return;
    }
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (row.is_discarded()) fail("standard input:{}: the line begins as a JSON object but is none", number);
    rows.inputs.push_back(text_in(row, options_.field, "--field", number));
    rows.lanes.push_back(names_.empty() ? 0 : lane_of(row, number));
  }

 private:
  std::string known() const { return fmt::format("; known prompts: {}", fmt::join(names_, ", ")); }

  std::int32_t lane_of(const nlohmann::json& row, std::size_t number) const {
    const std::string name = text_in(row, options_.prompt_field, "--prompt-field", number, known());
    const auto at = std::ranges::find(names_, name);
    if (at == names_.end()) fail("standard input:{}: there is no prompt '{}'{}", number, name, known());
    return static_cast<std::int32_t>(at - names_.begin());
  }

  const Options& options_;
  std::vector<std::string> names_;  // of the lanes; empty where rows name none
};

// All of standard input, so that a row that cannot be answered is found before anything is written.
Rows read_rows(const RowReader& reader) {
  Rows rows;
  std::size_t number = 0;
  for (std::string line; std::getline(std::cin, line);) reader.add(line, ++number, rows);
  if (number == 0) fail("standard input is empty: give one text or JSON object a line");
  return rows;
}

// Those of the first rank, which has the job's standard input. As bytes: a text need not be valid UTF-8.
Rows share_rows(Communicator& ranks, Rows rows) {
  if (ranks.size() == 1) return rows;
  std::string bytes;
  nlohmann::json::to_msgpack(nlohmann::json{rows.inputs, rows.lanes}, bytes);
  const auto all = nlohmann::json::from_msgpack(text_of_rank(ranks, bytes));
  return {all[0].get<std::vector<std::string>>(), all[1].get<std::vector<std::int32_t>>()};
}

// Of the rows [begin, end), which are counted.
std::vector<std::string> answers_of(Experiment& experiment, const Rows& rows, std::size_t begin,
                                    std::size_t end, RecipeCounts& counts) {
  std::vector<TextExample> examples;
  std::vector<Question> questions;
  for (std::size_t i = begin; i < end; ++i) {
    questions.push_back({examples.size(), rows.lanes[i]});
    examples.emplace_back().input = rows.inputs[i];
  }
  const ExampleStore store = experiment.recipe().encode(examples, counts);
  const Questions packed(experiment.recipe(), store, questions, experiment.answer_options());
  return packed.answers(experiment.runner(), stop_requested);
}

int answer(const Options& options, const ExperimentConfig& config, Rows read, World& world) {
  const Rows rows = share_rows(world.all(), std::move(read));
  const auto experiment = options.trained.open(config, world);
  const Mesh& mesh = world.mesh();
  const std::size_t at_once =
      kRowsAtOnce * static_cast<std::size_t>(mesh.size(Axis::kData) * mesh.size(Axis::kPipe));
  RecipeCounts counts;
  for (std::size_t begin = 0; begin < rows.inputs.size(); begin += at_once) {
    const std::size_t end = std::min(begin + at_once, rows.inputs.size());
    for (std::string& text : answers_of(*experiment, rows, begin, end, counts)) {
      if (world.rank() != 0) break;
      std::ranges::replace(text, '\n', ' ');
      std::cout << text << '\n';
    }
    std::cout.flush();
  }
  if (world.rank() == 0 && counts.cut_inputs > 0)
    std::cerr << fmt::format("warning: {} of {} inputs are longer than text.max_input = {} and were cut\n",
                             counts.cut_inputs, counts.examples, config.text.max_input);
  return kSuccess;
}

int run(const Options& options) {
  const std::vector<PromptFile> prompts = options.trained.files();
  const RowReader reader(options, prompts);
  const ExperimentConfig config = options.experiment.load();
  options.trained.check_there(config);
  // Before the job begins, so that nobody waits for whoever writes the rows.
  Rows rows;
  if (known_place().rank == 0) rows = read_rows(reader);
  return run_beside(config, "predict",
                    [&](World& world) { return answer(options, config, std::move(rows), world); });
}

}  // namespace

Verb add_predict(CLI::App& program) {
  CLI::App* app = program.add_subcommand("predict", "Answer each line of standard input with one line");
  app->footer(
      "Examples:\n"
      "  echo 'a fruit with red skin' | trimtab predict experiments/quickstart/wordnet.yaml\n"
      "  trimtab predict rte.yaml --prompt rte=runs/rte --prompt boolq=runs/boolq < rows.jsonl\n"
      "Lines are texts as the task forms them, or JSON objects with the text in a field. With --prompt each "
      "is\n"
      "a JSON object that names its prompt: {\"input\": \"...\", \"prompt\": \"rte\"}.");
  const auto options = std::make_shared<Options>();
  add_experiment_arguments(*app, options->experiment);
  add_trained_arguments(*app, options->trained);
  app->add_option("--field", options->field, "Field of JSON rows that holds the text")->capture_default_str();
  app->add_option("--prompt-field", options->prompt_field, "Field of JSON rows that names the prompt")
      ->capture_default_str();
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
