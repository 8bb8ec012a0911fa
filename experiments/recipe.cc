// SPDX-License-Identifier: Apache-2.0
#include "experiments/recipe.h"

#include <algorithm>
#include <functional>
#include <map>
#include <span>

#include "data/shots.h"
#include "data/tokenizers/t5_tokenizer.h"
#include "models/input_rows.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Behind {shots} they are part of the template, whose special tokens are tokens.
void check_plain(const std::vector<TextExample>& shots, const Tokenizer& tokenizer) {
  for (const TextExample& shot : shots)
    for (const std::string& text : {shot.input, shot.target})
      if (tokenizer.encode(text, SpecialText::kToken) != tokenizer.encode(text))
        fail_config(
            "text.shots: the example '{}' of the training split holds the written form of a special token, "
            "which would be read as that token: choose another train.seed",
            shot.id);
}

}  // namespace

// A decoder-only model reads input and target as one text.
std::unique_ptr<TextRecipe> make_recipe(const ExperimentConfig& config, const BaseModel& model,
                                        const Tokenizer& tokenizer, const TuningMethod& method,
                                        const Task& task) {
  const bool one_text = model.text_form() == TextForm::kDecoderOnly;
  const TokenId begin = tokenizer.adds_bos() ? tokenizer.bos().value_or(-1) : -1;
  if (config.text.prompt_place != "first" && begin < 0)
    fail_config("text.prompt_place: {}, but no token begins the texts of this model; set it to first",
                config.text.prompt_place);
  RecipeOptions options;
  options.text = nested_template(method.input_template(), config.text.input_template);
  options.max_input = static_cast<int>(config.text.max_input);
  options.max_target = static_cast<int>(config.text.max_target);
  options.one_text = one_text;
  options.begin = one_text ? begin : -1;
  if (config.text.target_sentinel) {
    const auto* t5 = dynamic_cast<const T5Tokenizer*>(&tokenizer);
    if (t5 == nullptr || t5->extra_ids() == 0)
      fail_config(
          "text.target_sentinel: the vocabulary {} has no sentinels, which are T5's; leave the key out",
          tokenizer.path());
    options.sentinel = t5->sentinel(0);
  }
  options.prompt_first = config.text.prompt_place == "first";
  if (config.text.shots > 0) {
    const std::vector<TextExample> training = task.load("train");
    std::vector<TextExample> shots;
    for (const std::size_t row : shown_rows(config, task, training)) shots.push_back(training[row]);
    check_plain(shots, tokenizer);
    options.shots = text_of_shots(shots, config.text.shot);
  }
  return std::make_unique<TextRecipe>(tokenizer, options);
}

std::vector<PromptPlace> prompt_places(const TextRecipe& recipe, const TuningMethod& method) {
  std::vector<PromptPlace> places;
  for (const TextRecipe::Place& place : recipe.places())
    places.push_back({place.positions.value_or(-1), place.from_end, static_cast<std::int64_t>(place.tokens)});
  if (method.extra_positions() == 0) return places;
  for (const std::int64_t rows : method.lane_positions()) rows_of_places(places, rows);
  return places;
}

TokenisedExamples tokenised(const ExperimentConfig& config, const TextRecipe& recipe, const Task& task,
                            const std::string& split, const std::vector<TextExample>& examples) {
  const std::string folder = config.text.cache.empty() ? config.output + "/cache" : config.text.cache;
  return tokenise(folder, task.name() + "-" + split, recipe, examples);
}

std::string example_text(const ExampleStore& store, const Tokenizer& tokenizer, const TuningMethod& method,
                         const std::vector<PromptPlace>& places) {
  const std::span<const TokenId> input = store.inputs.row(0), target = store.targets.row(0);
  std::map<std::int64_t, std::int64_t> trained;  // in front of a token of the input
  const std::int64_t positions = method.extra_positions(), length = std::ssize(input);
  if (positions > 0) {
    const std::vector<std::int64_t> rows = rows_of_places(places, positions);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const std::int64_t tokens = places[i].tokens;
      trained[std::clamp<std::int64_t>(places[i].from_end ? length - tokens : tokens, 0, length)] += rows[i];
    }
  }
  std::vector<std::string> parts;
  for (std::int64_t i = 0; i <= length; ++i) {
    if (const auto found = trained.find(i); found != trained.end() && found->second > 0)
      parts.push_back(fmt::format("[{} trained]", found->second));
    if (i < length) parts.push_back(tokenizer.piece(input[static_cast<std::size_t>(i)]));
  }
  parts.emplace_back("->");
  if (method.decoder_positions() > 0)
    parts.push_back(fmt::format("[{} trained]", method.decoder_positions()));
  for (const TokenId id : target) parts.push_back(tokenizer.piece(id));
  return fmt::format("{}", fmt::join(parts, " "));
}

std::vector<std::size_t> shown_rows(const ExperimentConfig& config, const Task& task,
                                    const std::vector<TextExample>& training) {
  if (config.text.shots == 0) return {};
  return rows_of_shots(training, task.labels(), config.text.shots,
                       static_cast<std::uint64_t>(config.train.seed));
}

void leave_out_shown(std::vector<TextExample>& training, const ExperimentConfig& config, const Task& task) {
  std::vector<std::size_t> rows = shown_rows(config, task, training);
  std::ranges::sort(rows, std::greater());
  for (const std::size_t row : rows) training.erase(training.begin() + static_cast<std::ptrdiff_t>(row));
  if (training.empty())
    fail_config("text.shots: {}: all rows of the training split are shown, and none is left to train on",
                config.text.shots);
}

void keep_first(std::vector<TextExample>& examples, std::int64_t rows) {
  if (rows == 0) return;
  std::vector<std::int64_t> kept;
  std::erase_if(examples, [&](const TextExample& example) {
    kept.resize(std::max(kept.size(), example.part + 1));
    return ++kept[example.part] > rows;
  });
}

void check_lengths(const ExperimentConfig& config, const BaseModel& model, const TuningMethod& method) {
  if (method.decoder_positions() > 0 && model.text_form() == TextForm::kDecoderOnly)
    fail_config(
        "method.decoder_length: {}, but this model reads and writes one text, in front of which the rows of "
        "method.length stand already; set it to 0",
        method.decoder_positions());
  const std::int64_t longest = config.text.max_input + method.attention_positions() + config.text.max_target;
  if (model.max_positions() > 0 && longest > model.max_positions())
    fail_config(
        "text.max_input: inputs of {} tokens, {} trained positions and targets of {} tokens make rows of {}, "
        "but "
        "the model knows {} positions; lower one of them",
        config.text.max_input, method.attention_positions(), config.text.max_target, longest,
        model.max_positions());
  if (method.extra_positions() > 16 * config.text.max_input)
    fail_config(
        "method.length: {} positions in front of inputs of at most {} tokens (text.max_input) leave nothing "
        "of "
        "the input; the paper's length is 100",
        method.extra_positions(), config.text.max_input);
}

}  // namespace trimtab
