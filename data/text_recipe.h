// SPDX-License-Identifier: Apache-2.0
//
// From the text of an example to token ids and back: a template around the input (a hard prompt), trimming,
// end of sequence. For an encoder-decoder input and target are two texts that both end; for a decoder-only
// model they are one, in which the target follows the input and only its end is the end.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/example_store.h"
#include "data/input_template.h"
#include "data/task.h"
#include "data/tokenizer.h"

namespace trimtab {

struct RecipeOptions {
  std::string text = "{input}";  // an InputTemplate
  std::string shots = "";        // examples that it shows
  int max_input = 512;           // tokens with eos, or with what begins a text
  int max_target = 16;           // tokens with eos
  bool one_text = false;         // the target continues the input
  TokenId begin = -1;            // one_text: the token that begins every text; -1: none
  bool prompt_first = true;      // trained positions at the beginning stand in front of that token
  // Put in front of each target, -1: nothing. <extra_id_0> is what a T5 that was pretrained on span
  // corruption alone has seen there (Lester et al. 2021, section 3.2).
  TokenId sentinel = -1;
};

// What trimming took away; printed with each score, since a cut label can never be right.
struct RecipeCounts {
  std::size_t examples = 0;
  std::size_t cut_inputs = 0;
  std::size_t cut_targets = 0;
  std::size_t longest_input = 0;   // tokens as for max_input, after trimming
  std::size_t longest_target = 0;  // the same

  RecipeCounts& operator+=(const RecipeCounts& other);
  bool operator==(const RecipeCounts&) const = default;
};

class TextRecipe {
 public:
  // Keeps a reference to the tokenizer. Throws ConfigError for a template without "{input}", with two, or too
  // long to leave room for one token of input, for lengths below 2, and for one text whose template ends in a
  // blank or says again what begins every text.
  TextRecipe(const Tokenizer& tokenizer, RecipeOptions options);

  // The template around the text, at most max_input - 1 tokens of it, then eos; for one text without eos, but
  // behind the token that begins it. Trimming takes tokens from the end of the text in the middle, so that
  // what the template says behind it stays. A decoder-only model reads at least one token: where there is
  // none it gets eos, which is what stands between texts in pretraining.
  std::vector<TokenId> encode_input(const std::string& input, RecipeCounts& counts) const;

  // Where trained positions go: behind the first or, `from_end`, in front of the last `tokens` of each input.
  struct Place {
    std::optional<int> positions;  // nothing: an even share
    bool from_end = false;
    std::size_t tokens = 0;
  };
  // In the order of the text: those of the template, or the beginning.
  const std::vector<Place>& places() const { return places_; }
  // At most max_target - 1 tokens, a sentinel among them, then eos. For one text a blank is put in front of
  // the target, unless the template ends in white space: it then begins a word as it does in running text.
  std::vector<TokenId> encode_target(const std::string& target, RecipeCounts& counts) const;

  // In memory. Throws Error if there are no examples. data/example_cache.h keeps what it makes.
  ExampleStore encode(const std::vector<TextExample>& examples, RecipeCounts& counts) const;

  // Ids of words as they stand in a target, without eos.
  std::vector<TokenId> encode_words(const std::string& words) const;
  // The text of a target without the sentinel; for one text without white space around it.
  std::string decode_target(std::span<const TokenId> ids) const;

  // All that decides which ids a text becomes: two recipes with the same identity make the same.
  std::string identity() const;

  // Ids of each label with sentinel and eos. Throws ConfigError that names label and length if one is cut or
  // holds the unknown piece.
  std::vector<std::vector<TokenId>> encode_labels(const std::vector<std::string>& labels) const;

 private:
  std::vector<TokenId> target_ids(const std::string& target) const;

  // Of segments of the template that stand behind something.
  std::vector<TokenId> fixed_ids(std::size_t first_segment, std::size_t end, Behind behind) const;
  // A part of one text behind another part; a text of its own for an encoder-decoder.
  std::vector<TokenId> encode_part(const std::string& part, SpecialText special, Behind behind) const;
  void check_beginning() const;
  void find_places();

  const Tokenizer& tokenizer_;
  RecipeOptions options_;
  InputTemplate template_;
  std::string blank_;                                        // in front of targets
  std::vector<TokenId> before_ids_, back_ids_, behind_ids_;  // around the input: segments, its own, segments
  Behind behind_input_ = Behind::kText;                      // what the segments behind the input's follow
  std::vector<Place> places_;
};

}  // namespace trimtab
