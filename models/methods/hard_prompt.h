// SPDX-License-Identifier: Apache-2.0
//
// A written prompt: a text around each input, nothing trained. Without a text it is zero-shot scoring.
#pragma once

#include "models/methods/tuning_method.h"

namespace trimtab {

struct HardPromptOptions {
  std::string text = "{input}";

  bool operator==(const HardPromptOptions&) const = default;
};

template <class V>
void describe(V& v, HardPromptOptions& s) {
  v.field("text", s.text, "The text that the model reads, with {input} where the task's input goes.",
          {.min_size = 1});
}

struct ZeroShotOptions {
  bool operator==(const ZeroShotOptions&) const = default;
};

template <class V>
void describe(V&, ZeroShotOptions&) {}

std::unique_ptr<TuningMethod> make_hard_prompt(Subtree& options);
std::unique_ptr<TuningMethod> make_zero_shot(Subtree& options);

}  // namespace trimtab
