// SPDX-License-Identifier: Apache-2.0
//
// Scores of predicted labels and numbers, in percent, by the rules of the T5 code (t5/evaluation/metrics.py).
// A prediction that is no legal label is never right. All functions throw Error if there is nothing to score
// or the counts differ.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace trimtab {

using Texts = std::vector<std::string>;

// What every metric does first.
void check_counts(std::size_t predictions, std::size_t targets);

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

// Matthews' correlation for any number of classes (Gorodkin 2004, as in scikit-learn); all invalid
// predictions are one further class. 0 if all targets or all predictions are the same.
double matthews(const Texts& predictions, const Texts& targets, const Texts& labels);

// Share of groups whose every prediction equals its target (T5: mean_group_metric of all_match).
double exact_groups(const Texts& predictions, const Texts& targets, const Texts& groups);

// A number as Python's float() reads it, without "inf", "nan" and underscores; nothing if it is none.
std::optional<double> number_in(const std::string& text);

// Pearson's correlation, and Spearman's: Pearson's of the ranks, equal values sharing their mean rank. 0 if
// either side is constant, where the correlation is not defined.
double pearson(const std::vector<double>& predictions, const std::vector<double>& targets);
double spearman(const std::vector<double>& predictions, const std::vector<double>& targets);

}  // namespace trimtab
