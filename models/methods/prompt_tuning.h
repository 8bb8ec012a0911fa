// SPDX-License-Identifier: Apache-2.0
//
// Prompt tuning (Lester et al. 2021, section 2): P trained rows in front of the embedded encoder input and,
// if wanted, some in front of the decoder's as well; nothing else.
#pragma once

#include "models/methods/tuning_method.h"

namespace trimtab {

struct PromptTuningOptions {
  std::int64_t length = 100;
  std::int64_t decoder_length = 0;
  std::string init = "class_labels";
  std::vector<double> init_range = {-0.5, 0.5};
  std::vector<std::string> init_words{};
  std::string init_text{};
  std::string init_file{};
  std::int64_t init_population = 5000;

  bool operator==(const PromptTuningOptions&) const = default;
};

template <class V>
void describe(V& v, PromptTuningOptions& s) {
  v.field("length", s.length, "Trained positions in front of each input.",
          {.min = 1, .max = 4096, .unit = "positions"});
  v.field(
      "decoder_length", s.decoder_length,
      "Trained positions in front of a T5's decoder input, beside those of `length`. They start as `init` "
      "says, without labels.",
      {.min = 0, .max = 4096, .unit = "positions"});
  v.field("init", s.init,
          "Where the prompt starts: class_labels (embeddings of the labels, then as sampled_vocab), "
          "sampled_vocab "
          "(embeddings of frequent pieces), uniform, text or file.",
          {.choices = {"class_labels", "sampled_vocab", "uniform", "text", "file"}});
  v.field("init_range", s.init_range,
          "uniform: lowest and highest value; the paper has -0.5 to 0.5, the reference code 0 to 0.5.",
          {.min_size = 2});
  v.field("init_words", s.init_words,
          "class_labels: words to use in place of the task's labels, for tasks whose targets are free text.");
  v.field("init_text", s.init_text, "text: row i starts as the embedding of token i of this text.");
  v.field(
      "init_file", s.init_file,
      "file: a prompt of shape [length, d_model]: a .npy, a PEFT adapter, or a checkpoint of another run.");
  v.field("init_population", s.init_population,
          "sampled_vocab: draw from this many of the most frequent pieces.", {.min = 1, .unit = "pieces"});
}

std::unique_ptr<TuningMethod> make_prompt_tuning(Subtree& options);

// The initial prompt, float32 [length, d_model] (paper, section 3.2; the reference's prompts.py). A label of
// several pieces starts as the mean of their embeddings; labels beyond `length` are dropped; frequent pieces
// are drawn without replacement while they last; a text shorter than the prompt is repeated. Collective over
// the stage's tensor ranks.
at::Tensor initial_prompt(const PromptTuningOptions& options, const ModelStage& stage,
                          const MethodContext& context);
// The initial rows in front of the decoder's input, float32 [decoder_length, d_model]: drawn for themselves,
// from frequent pieces where those in front of the input begin as labels. Collective over the stage's tensor
// ranks.
at::Tensor initial_decoder_prompt(const PromptTuningOptions& options, const ModelStage& stage,
                                  const MethodContext& context);

}  // namespace trimtab
