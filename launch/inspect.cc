// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "experiments/prompt_file.h"
#include "experiments/vocabulary_file.h"
#include "launch/guard.h"
#include "launch/verbs.h"
#include "models/family.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

struct Options {
  std::string file, weights, vocabulary;
  std::int64_t rows = 20;
};

void print_numbers(const PromptMatrix& prompt) {
  const auto width = static_cast<std::size_t>(prompt.shape[1]);
  std::vector<double> norms;
  double sum = 0.0, squares = 0.0;
  for (std::size_t i = 0; i < prompt.values.size(); i += width) {
    double row = 0.0;
    for (std::size_t j = i; j < i + width; ++j) {
      const double x = prompt.values[j];
      sum += x;
      row += x * x;
    }
    squares += row;
    norms.push_back(std::sqrt(row));
  }
  const auto count = static_cast<double>(prompt.values.size());
  const double mean = sum / count, variance = squares / count - mean * mean;
  double total = 0.0;
  for (const double norm : norms) total += norm;
  const auto [low, high] = std::ranges::minmax(norms);
  std::printf("%s [%lld, %lld] %s\n", prompt.name.c_str(), static_cast<long long>(prompt.shape[0]),
              static_cast<long long>(prompt.shape[1]), prompt.origin.c_str());
  std::printf("  norm of a row: least %.4g, mean %.4g, greatest %.4g\n", low,
              total / static_cast<double>(norms.size()), high);
  std::printf("  standard deviation of the elements: %.4g\n", std::sqrt(std::max(0.0, variance)));
}

void print_neighbours(const PromptMatrix& prompt, const Options& options) {
  const auto model = open_model(options.weights);
  const std::string folder = std::filesystem::temp_directory_path().string();
  const auto tokenizer = open_vocabulary(options.vocabulary, *model, folder);
  const Shape shape = model->weights().info(model->embedding_name()).shape;
  if (shape.at(1) != prompt.shape[1])
    fail_config("{}: width {}, but {} has width {}", options.file, prompt.shape[1], options.weights,
                shape[1]);
  // Rows above the pieces are padding.
  const std::int64_t pieces = std::min<std::int64_t>(shape[0], tokenizer->size());
  std::vector<float> table(static_cast<std::size_t>(pieces * shape[1]));
  model->weights().read(model->embedding_name(), {{0, 0}, {pieces, shape[1]}}, DType::kFloat32, table.data());
  const auto nearest = nearest_rows(prompt, table, 3);
  for (std::size_t row = 0; row < nearest.size() && static_cast<std::int64_t>(row) < options.rows; ++row) {
    std::printf("  %4zu", row);
    for (const Neighbour& n : nearest[row])
      std::printf("  %s (%.2f)", tokenizer->piece(static_cast<TokenId>(n.id)).c_str(), n.cosine);
    std::printf("\n");
  }
}

int run(const Options& options) {
  const bool folder = std::filesystem::is_directory(options.file);
  if (folder || (options.file.ends_with(".h5") && !is_checkpoint(options.file))) {
    std::printf("%s\n", open_model(options.file)->summary().c_str());
    return kSuccess;
  }
  for (const PromptMatrix& prompt : read_prompts(options.file)) {
    print_numbers(prompt);
    if (!options.weights.empty()) print_neighbours(prompt, options);
  }
  return kSuccess;
}

}  // namespace

Verb add_inspect(CLI::App& program) {
  CLI::App* app = program.add_subcommand("inspect", "Show a trained prompt (checkpoint or .npy) or a model");
  app->footer("Example:\n  trimtab inspect runs/rte/best.h5 --weights models/t5-small.h5");
  const auto options = std::make_shared<Options>();
  app->add_option("file", options->file, "Checkpoint, .npy or model")->required();
  app->add_option("--weights", options->weights, "Name each row's nearest vocabulary pieces in this model");
  app->add_option("--vocabulary", options->vocabulary,
                  "SentencePiece model; default: the one with the weights");
  app->add_option("--rows", options->rows, "Rows to name")->capture_default_str();
  return {app, [options] { return run(*options); }};
}

}  // namespace trimtab
