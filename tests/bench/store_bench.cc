// SPDX-License-Identifier: Apache-2.0
//
// How long a split takes from its file to the first batch: read, tokenised and stored, opened again, and the
// batches of a step. One JSON line.
#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/batcher.h"
#include "data/example_cache.h"
#include "data/tasks/registry.h"
#include "data/tokenizers/t5_tokenizer.h"

namespace {

using namespace trimtab;

double seconds_of(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Options {
  std::string task, vocabulary, cache;
  std::string split = "train";
  RecipeOptions recipe{.max_input = 512, .max_target = 8};
  std::size_t batch = 32;
  std::size_t steps = 200;
};

void measure(const Options& options) {
  Subtree subtree = Subtree::parse(options.task, "task");
  const auto task = make_task(subtree);
  const T5Tokenizer tokenizer(options.vocabulary);
  const TextRecipe recipe(tokenizer, options.recipe);
  std::vector<TextExample> examples;
  TokenisedExamples rows;
  const auto open = [&] { rows = tokenise(options.cache, "bench", recipe, examples); };
  std::filesystem::remove_all(options.cache);
  nlohmann::ordered_json out;
  out["read"] = seconds_of([&] { examples = task->load(options.split); });
  out["examples"] = examples.size();
  out["tokenise_and_store"] = seconds_of(open);
  out["examples_a_minute"] =
      60 * static_cast<double>(examples.size()) / out["tokenise_and_store"].get<double>();
  out["open_again"] = seconds_of(open);
  out["ids"] = rows.store.inputs.ids().size() + rows.store.targets.ids().size();
  Batcher batcher(rows.store, options.batch, 1);
  std::size_t positions = 0;
  const double batches = seconds_of([&] {
    for (std::size_t step = 0; step < options.steps; ++step)
      for (const Batch& part : micro_batches(batcher.step(step), 16384, 100))
        positions += part.input_ids.size();
  });
  out["batch_milliseconds"] = 1e3 * batches / static_cast<double>(options.steps);
  out["tokens_a_batch"] = static_cast<double>(positions) / static_cast<double>(options.steps);
  std::cout << out.dump() << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"From a data set's file to batches, with and without a warm cache"};
  Options options;
  app.add_option("--task", options.task, "As in an experiment: '{name: glue/sst2, path: data/SST-2}'")
      ->required();
  app.add_option("--vocabulary", options.vocabulary, "SentencePiece model")->required();
  app.add_option("--cache", options.cache, "Folder, which is emptied first")->required();
  app.add_option("--split", options.split)->capture_default_str();
  app.add_option("--steps", options.steps, "Batches to make")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  measure(options);
  return 0;
}
