// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "models/formats/peft_adapter.h"
#include "models/methods/initial_values.h"
#include "models/methods/prompt_tuning.h"
#include "runtime/check.h"
#include "runtime/random.h"

namespace trimtab {
namespace {

// Draws of the different inits come from different streams of the purpose kInit; tensors of random models use
// small steps.
constexpr std::uint64_t kUniformStep = std::uint64_t{1} << 40;
constexpr std::uint64_t kVocabStep = kUniformStep + 1;

at::Tensor uniform(const PromptTuningOptions& options, std::int64_t width, std::uint64_t seed) {
  const RandomStream stream(seed, Purpose::kInit, kUniformStep);
  at::Tensor prompt = at::empty({options.length, width}, at::kFloat);
  float* out = prompt.data_ptr<float>();
  const double low = options.init_range[0], high = options.init_range[1];
  for (std::int64_t i = 0; i < prompt.numel(); ++i)
    out[i] = static_cast<float>(low + (high - low) * stream.uniform_double(static_cast<std::uint64_t>(i)));
  return prompt;
}

// `count` ids out of the most frequent pieces, each at most once until all have been taken.
std::vector<std::int64_t> sampled_ids(const PromptTuningOptions& options, std::int64_t count,
                                      const MethodContext& context) {
  const auto population = static_cast<std::uint32_t>(std::min(options.init_population, context.pieces));
  std::vector<std::int64_t> ids;
  for (std::uint64_t round = 0; static_cast<std::int64_t>(ids.size()) < count; ++round)
    for (const std::uint32_t id :
         permutation(population, RandomStream(context.seed, Purpose::kInit, kVocabStep, round))) {
      if (static_cast<std::int64_t>(ids.size()) == count) break;
      ids.push_back(id);
    }
  return ids;
}

at::Tensor class_labels(const PromptTuningOptions& options, const ModelStage& stage,
                        const MethodContext& context) {
  const std::vector<std::string>& words = options.init_words.empty() ? context.labels : options.init_words;
  if (words.empty())
    fail_config(
        "method.init: class_labels, but the task has no labels; name words in method.init_words, or use "
        "init: "
        "sampled_vocab");
  at::Tensor prompt = stage.embeddings(sampled_ids(options, options.length, context));
  for (std::size_t i = 0; i < words.size() && static_cast<std::int64_t>(i) < options.length; ++i) {
    const std::vector<std::int32_t> pieces = context.encode(words[i]);
    if (pieces.empty()) fail_config("method.init: the label '{}' has no pieces in this vocabulary", words[i]);
    prompt[static_cast<std::int64_t>(i)] = stage.embeddings({pieces.begin(), pieces.end()}).mean(0);
  }
  return prompt;
}

at::Tensor text(const PromptTuningOptions& options, const ModelStage& stage, const MethodContext& context) {
  const std::vector<std::int32_t> pieces = context.encode(options.init_text);
  if (pieces.empty())
    fail_config("method.init_text: '{}' has no pieces in this vocabulary", options.init_text);
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < options.length; ++i)
    ids.push_back(pieces[static_cast<std::size_t>(i) % pieces.size()]);
  return stage.embeddings(ids);
}

at::Tensor rows_of_file(const NamedArray& rows, const PromptTuningOptions& options, const char* key,
                        const Shape& expected) {
  if (rows.shape != expected)
    fail_config("method.init_file: {} holds an array of shape [{}], but {} and this model want [{}]",
                options.init_file, fmt::join(rows.shape, ", "), key, fmt::join(expected, ", "));
  return at::tensor(at::ArrayRef<float>(rows.values), at::kFloat).view(expected);
}

// Nothing that a run learned is left behind without a word.
at::Tensor file(const PromptTuningOptions& options, std::int64_t width) {
  const NamedArray rows = read_prompt_rows(options.init_file);
  const std::optional<NamedArray> of_decoder = read_decoder_prompt_rows(options.init_file);
  if (of_decoder && options.decoder_length == 0)
    fail_config(
        "method.init_file: {} holds rows in front of the decoder's input as well; "
        "set method.decoder_length: {}",
        options.init_file, of_decoder->shape.at(0));
  return rows_of_file(rows, options, "length", {options.length, width});
}

at::Tensor decoder_rows_of_file(const PromptTuningOptions& options, std::int64_t width) {
  const std::optional<NamedArray> rows = read_decoder_prompt_rows(options.init_file);
  if (!rows)
    fail_config(
        "method.init_file: {} holds no rows in front of the decoder's input; set method.decoder_length: 0, "
        "or begin with a checkpoint that was trained with some",
        options.init_file);
  return rows_of_file(*rows, options, "decoder_length", {options.decoder_length, width});
}

}  // namespace

at::Tensor initial_prompt(const PromptTuningOptions& options, const ModelStage& stage,
                          const MethodContext& context) {
  if (options.init == "uniform") return uniform(options, stage.width(), context.seed);
  if (options.init == "sampled_vocab") return stage.embeddings(sampled_ids(options, options.length, context));
  if (options.init == "class_labels") return class_labels(options, stage, context);
  if (options.init == "text") return text(options, stage, context);
  if (options.init == "file") return file(options, stage.width());
  fail_config("method.init: unknown '{}'", options.init);
}

at::Tensor initial_decoder_prompt(const PromptTuningOptions& options, const ModelStage& stage,
                                  const MethodContext& context) {
  if (options.init == "file") return decoder_rows_of_file(options, stage.width());
  PromptTuningOptions of_decoder = options;
  of_decoder.length = options.decoder_length;
  if (options.init == "class_labels") of_decoder.init = "sampled_vocab";
  MethodContext drawn = context;
  drawn.seed ^= number_of("decoder_prompt");  // other rows than those in front of the input
  return initial_prompt(of_decoder, stage, drawn);
}

}  // namespace trimtab
