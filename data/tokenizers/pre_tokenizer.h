// SPDX-License-Identifier: Apache-2.0
//
// Cuts a text into the words that BPE never merges across. The steps are plain data, as a tokenizer.json or
// the name in a GGUF file gives them; each cuts what the one before it left.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/tokenizer.h"
#include "data/tokenizers/pattern.h"

namespace trimtab {

// Matches of the pattern and the text between them become words; either may be dropped.
struct SplitStep {
  std::string pattern{};
  bool keep_matches = true;
  bool keep_rest = true;
};

// A blank in front of each word that has none (ByteLevel with add_prefix_space), but for one that goes on a
// text.
struct LeadingBlankStep {};

// Blanks become `blank`, and one is put in front of a text that has none: of every one, of the one at the
// start of the whole text, or of none; never of one that goes on another.
struct MetaspaceStep {
  enum class Prepend { kAlways, kFirst, kNever };
  std::string blank = "▁";
  Prepend prepend = Prepend::kAlways;
  bool split = true;  // in front of each blank
};

using PreTokenizerStep = std::variant<SplitStep, LeadingBlankStep, MetaspaceStep>;

// GPT-2's pattern, which ByteLevel uses by default, and that of single digits.
SplitStep gpt2_split();
SplitStep digit_split();
// The steps of a `tokenizer.ggml.pre`. Throws ConfigError that lists the known names.
const std::vector<PreTokenizerStep>& named_pre_tokenizer(std::string_view name, std::string_view place);

class PreTokenizer {
 public:
  // `place` is for messages. Throws ConfigError for a pattern that cannot be used.
  PreTokenizer(const std::vector<PreTokenizerStep>& steps, std::string_view place);

  // Calls `visit` with each word, from left to right; words are valid during the call only. Text is
  // well-formed UTF-8.
  using Visit = std::function<void(std::string_view)>;
  void for_each_word(std::string_view text, Behind behind, const Visit& visit) const {
    run(0, text, behind, visit);
  }

 private:
  struct Split {
    Pattern pattern;
    bool keep_matches;
    bool keep_rest;
  };
  using Step = std::variant<Split, LeadingBlankStep, MetaspaceStep>;

  // Each gives what it cuts to the step after number `at`.
  void run(std::size_t at, std::string_view text, Behind behind, const Visit& visit) const;
  void cut(const Split& split, std::size_t at, std::string_view text, Behind behind,
           const Visit& visit) const;
  void cut(LeadingBlankStep, std::size_t at, std::string_view text, Behind behind, const Visit& visit) const;
  void cut(const MetaspaceStep&, std::size_t at, std::string_view text, Behind behind,
           const Visit& visit) const;

  std::vector<Step> steps_;
};

}  // namespace trimtab
