// SPDX-License-Identifier: Apache-2.0
//
// Scores of answers in free text, in percent, by the rules of SQuAD's evaluation script as the T5 code has
// them (t5/evaluation/qa_utils.py), and the rule by which it judges the referents of WSC.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/metrics.h"

namespace trimtab {

// SQuAD's normal form: lower case, no ASCII punctuation, no words a, an, the, single blanks.
std::string normalize_answer(std::string_view text);

// Both compare normal forms and take the best of each prediction's references. They throw Error if there is
// nothing to score, the counts differ or an example has no reference.
double exact_match(const Texts& predictions, const std::vector<Texts>& references);
// Token F1: harmonic mean of precision and recall over the words of the normal forms.
double token_f1(const Texts& predictions, const std::vector<Texts>& references);

// Whether a prediction names the referent, after lower case and without determiners: one's words are all
// among the other's, and both or neither hold an apostrophe ("Bob" is not "Bob's hat"). Nothing if no word of
// the prediction is left. t5/data/postprocessors.py, wsc_simple.
std::optional<bool> names_referent(std::string_view prediction, std::string_view referent);

}  // namespace trimtab
