// SPDX-License-Identifier: Apache-2.0
//
// The shared task MRQA 2019: question answering sets of many domains in one JSONL layout, for zero-shot
// transfer from SQuAD (Lester et al. 2021, section 5).
#pragma once

#include <memory>
#include <string>

#include "data/published_task.h"

namespace trimtab {

struct MrqaOptions : PublishedOptions {
  std::string set{};
};

template <class V>
void describe(V& v, MrqaOptions& s) {
  describe(v, static_cast<PublishedOptions&>(s));
  v.field("set", s.set,
          "Name of the data set's file: BioASQ, DROP, DuoRC.ParaphraseRC, RACE, RelationExtraction, "
          "TextbookQA, or one of the training sets.",
          {.required = true, .min_size = 1});
}

// mrqa: train/SET.jsonl and dev/SET.jsonl (or SET.jsonl), each also as .gz; texts as in squad.h.
std::unique_ptr<Task> make_mrqa(MrqaOptions options);

}  // namespace trimtab
