// SPDX-License-Identifier: Apache-2.0
//
// From the text of an example to token ids: a template around the input (a hard prompt), trimming, end of
// sequence.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/example_store.h"
#include "data/task.h"
#include "data/tokenizer.h"

namespace trimtab {

struct RecipeOptions {
  std::string text = "{input}";  // template of the input; must contain "{input}" once
  int max_input = 512;           // tokens with eos
  int max_target = 16;           // tokens with eos
  // <extra_id_0> in front of each target, as a model pretrained on span corruption alone has seen its targets
  // (Lester et al. 2021, section 3.2).
  bool target_sentinel = false;
};

// What trimming took away; printed with each score, since a cut label can never be right.
struct RecipeCounts {
  std::size_t examples = 0;
  std::size_t cut_inputs = 0;
  std::size_t cut_targets = 0;
  std::size_t longest_input = 0;   // tokens with eos, after trimming
  std::size_t longest_target = 0;  // the same

  RecipeCounts& operator+=(const RecipeCounts& other);
  bool operator==(const RecipeCounts&) const = default;
};

class TextRecipe {
 public:
  // Keeps a reference to the tokenizer. Throws ConfigError for a template without "{input}", with two, or too
  // long to leave room for one token of input, and for lengths below 2.
  TextRecipe(const Tokenizer& tokenizer, RecipeOptions options);

  // The template around the text, at most max_input - 1 tokens of it, then eos. Trimming takes tokens from
  // the end of the text in the middle, so that what the template says behind it stays.
  std::vector<TokenId> encode_input(const std::string& input, RecipeCounts& counts) const;
  // At most max_target - 1 tokens, a sentinel among them, then eos.
  std::vector<TokenId> encode_target(const std::string& target, RecipeCounts& counts) const;

  // The text that generated ids say, without the sentinel and blanks that came before it.
  std::string answer(std::span<const TokenId> ids) const;

  // In memory. Throws Error if there are no examples. data/example_cache.h keeps what it makes.
  ExampleStore encode(const std::vector<TextExample>& examples, RecipeCounts& counts) const;

  // All that decides which ids a text becomes: two recipes with the same identity make the same.
  std::string identity() const;

  // Ids of each label with sentinel and eos. Throws ConfigError that names label and length if one is cut or
  // holds the unknown piece.
  std::vector<std::vector<TokenId>> encode_labels(const std::vector<std::string>& labels) const;

 private:
  std::vector<TokenId> target_ids(const std::string& target) const;

  const Tokenizer& tokenizer_;
  RecipeOptions options_;
  std::string front_;
  std::string back_;
  std::vector<TokenId> back_ids_;
};

}  // namespace trimtab
