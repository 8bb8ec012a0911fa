// SPDX-License-Identifier: Apache-2.0
//
// WordNet as a classification task that any machine can have (Debian's package wordnet-base): from the gloss
// of a synset to its lexicographer class, "a cavity in the jaw for a tooth" -> "body".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/task.h"

namespace trimtab {

struct LexnameOptions {
  std::string path = "/usr/share/wordnet";  // folder with data.noun and data.verb
  std::string part = "noun";                // noun or verb
  // Lexicographer classes of the part, without "noun."; empty stands for the ten of the default (noun) or all
  // (verb).
  std::vector<std::string> classes{};
  bool words = false;          // put the synset's first word in: "definition: {gloss} word: {word}"
  bool balanced = true;        // each class as often as the rarest in the split
  std::int64_t max_train = 0;  // rows; 0 for all
  std::int64_t max_validation = 0;
  std::int64_t max_test = 0;
  std::int64_t validation_percent = 10;
  std::int64_t test_percent = 10;
};

template <class V>
void describe(V& v, LexnameOptions& s) {
  v.field("path", s.path, "Folder with data.noun and data.verb.");
  v.field("part", s.part, "Part of speech.", {.choices = {"noun", "verb"}});
  v.field("classes", s.classes, "Lexicographer classes; empty: ten of the nouns', all of the verbs'.");
  v.field("words", s.words, "Put the synset's first word behind the definition.");
  v.field("balanced", s.balanced, "Use each class as often as the rarest of the split.");
  v.field("max_train", s.max_train, "Most rows of the training split; 0: all.", {.min = 0, .unit = "rows"});
  v.field("max_validation", s.max_validation, "Most rows of the validation split; 0: all.",
          {.min = 0, .unit = "rows"});
  v.field("max_test", s.max_test, "Most rows of the test split; 0: all.", {.min = 0, .unit = "rows"});
  v.field("validation_percent", s.validation_percent, "Share of the synsets in the validation split.",
          {.min = 1, .max = 89, .unit = "percent"});
  v.field("test_percent", s.test_percent, "Share of the synsets in the test split.",
          {.min = 1, .max = 89, .unit = "percent"});
}

// wordnet/lexname. A synset's split and its place in it follow from a hash of its part and offset, so that
// they do not depend on the other options, and a gloss is never in two splits: of synsets with the same gloss
// the first is used.
std::unique_ptr<Task> make_lexname(LexnameOptions options);

}  // namespace trimtab
