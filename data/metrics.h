// SPDX-License-Identifier: Apache-2.0
//
// Scores of predicted text, in percent, by the rules of the T5 code (t5/evaluation/metrics.py). A prediction
// that is no legal label is never right. All functions throw Error if there is nothing to score or the counts
// differ.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab {

using Texts = std::vector<std::string>;

// Predictions that are not among the labels (compared as they are).
std::size_t count_invalid(const Texts& predictions, const Texts& labels);

// Share of predictions that equal their target as they are.
double accuracy(const Texts& predictions, const Texts& targets);

// F1 of one of two classes; an invalid prediction counts as the wrong one of the two (T5:
// f1_score_with_invalid), so `labels` must have two members of which `positive` is one. 0 if the class is
// neither there nor predicted.
double f1_of_class(const Texts& predictions, const Texts& targets, const Texts& labels,
                   const std::string& positive);

// Mean of the F1 of each label; an invalid prediction is a miss of the target's class and a false alarm of
// none (T5: mean_multiclass_f1). A label that is neither there nor predicted counts as 0.
double macro_f1(const Texts& predictions, const Texts& targets, const Texts& labels);

// SQuAD's normal form: lower case (ASCII), no ASCII punctuation, no words a, an, the, single blanks.
std::string normalize_answer(std::string_view text);

// Both compare normal forms and take the best of each prediction's references.
double exact_match(const Texts& predictions, const std::vector<Texts>& references);
// Token F1: harmonic mean of precision and recall over the words of the normal forms.
double token_f1(const Texts& predictions, const std::vector<Texts>& references);

}  // namespace trimtab
