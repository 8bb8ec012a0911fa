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
  int validation_percent = 10;
  int test_percent = 10;
};

// wordnet/lexname. A synset's split and its place in it follow from a hash of its part and offset, so that
// they do not depend on the other options, and a gloss is never in two splits: of synsets with the same gloss
// the first is used.
std::unique_ptr<Task> make_lexname(LexnameOptions options);

}  // namespace trimtab
