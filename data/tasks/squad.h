// SPDX-License-Identifier: Apache-2.0
//
// SQuAD v1.1 and its shifted test sets: questions about a passage, answered in free text. Punctuation is set
// apart by blanks in all texts, references included, as the T5 code does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/published_task.h"

namespace trimtab {

struct ShiftsOptions : PublishedOptions {
  std::string set = "new_wiki";
};

template <class V>
void describe(V& v, ShiftsOptions& s) {
  describe(v, static_cast<PublishedOptions&>(s));
  v.field("set", s.set, "Where the passages are from.",
          {.choices = {"new_wiki", "nyt", "reddit", "amazon_reviews"}});
}

// squad/v1.1: train-v1.1.json and dev-v1.1.json.
std::unique_ptr<Task> make_squad(PublishedOptions options);
// squad/shifts (Miller et al. 2020): a validation split in the same layout.
std::unique_ptr<Task> make_squad_shifts(ShiftsOptions options);

// Blanks around each mark of ASCII punctuation, then runs of white space as one blank.
std::string pad_punctuation(std::string_view text);

// "question: ... context: ..." with the first answer as target and the others beside it; `answers` has one or
// more. t5/data/preprocessors.py, squad.
TextExample question_example(const std::string& question, const std::string& context,
                             const std::vector<std::string>& answers);

}  // namespace trimtab
