// SPDX-License-Identifier: Apache-2.0
#include "data/metrics.h"

#include <gmock/gmock.h>

#include "data/temp_folder.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, AccuracyIsExact) {
  EXPECT_DOUBLE_EQ(accuracy({"True", "False", "true", ""}, {"True", "True", "True", "False"}), 25);
  EXPECT_EQ(count_invalid({"True", "False", "true", ""}, {"True", "False"}), 2u);
}

// Values of sklearn.metrics.f1_score(labels=[0, 1, 2], average="macro").
TEST(Metrics, MacroF1AsSklearn) {
  const Texts targets = {"a", "a", "b", "b", "c", "c", "c", "a"};
  const Texts predictions = {"a", "b", "b", "b", "c", "a", "other", ""};
  EXPECT_NEAR(macro_f1(predictions, targets, {"a", "b", "c"}), 56.66666666666668, 1e-12);
  EXPECT_DOUBLE_EQ(macro_f1(targets, targets, {"a", "b", "c"}), 100);
}

// An invalid prediction becomes the wrong class before sklearn's f1_score.
TEST(Metrics, F1OfClassWithInvalid) {
  const Texts targets = {"yes", "yes", "yes", "no", "no", "no"};
  const Texts predictions = {"yes", "no", "??", "no", "yes", ""};
  EXPECT_NEAR(f1_of_class(predictions, targets, {"no", "yes"}, "yes"), 33.33333333333333, 1e-12);
  EXPECT_DOUBLE_EQ(f1_of_class({"no"}, {"no"}, {"no", "yes"}, "yes"), 0);
}

// sklearn.metrics.matthews_corrcoef with -1 for what is no label.
TEST(Metrics, MatthewsAsSklearn) {
  const Texts targets = {"1", "1", "1", "0", "0", "0", "1", "0"};
  EXPECT_NEAR(matthews({"1", "0", "1", "0", "1", "0", "1", "0"}, targets, {"0", "1"}), 50.0, 1e-12);
  EXPECT_NEAR(matthews({"1", "0", "?", "0", "1", "", "1", "0"}, targets, {"0", "1"}), 21.82178902359924,
              1e-12);
  EXPECT_DOUBLE_EQ(matthews(Texts(8, "1"), targets, {"0", "1"}), 0);
  EXPECT_NEAR(matthews({"a", "b", "b", "b", "c", "a", "other", ""}, {"a", "a", "b", "b", "c", "c", "c", "a"},
                       {"a", "b", "c"}),
              38.676339191429655, 1e-12);
  EXPECT_NEAR(matthews(targets, targets, {"0", "1"}), 100, 1e-12);
}

// sklearn's fbeta_score(labels=range(3), average="macro") when the third class is neither there nor
// predicted.
TEST(Metrics, MacroF1OfAnAbsentClass) {
  EXPECT_NEAR(macro_f1({"a", "b", "b", "x"}, {"a", "a", "b", "b"}, {"a", "b", "c"}), 38.888888888888886,
              1e-12);
}

TEST(Metrics, GroupsAreRightAsAWhole) {
  EXPECT_DOUBLE_EQ(exact_groups({"x", "y", "x", "no"}, {"x", "y", "x", "x"}, {"1", "1", "2", "2"}), 50);
  EXPECT_NEAR(exact_groups({"x", "y", "z"}, {"x", "no", "z"}, {"1", "2", "1"}), 50, 1e-12);  // not neighbours
}

// scipy.stats.
TEST(Metrics, CorrelationsAsScipy) {
  const std::vector<double> predictions = {1.0, 2.4, 3.0, -1.0, 5.0, 3.0, 0.2};
  const std::vector<double> targets = {0.8, 2.6, 3.0, 4.4, 4.8, 2.6, 0.0};
  EXPECT_NEAR(pearson(predictions, targets), 38.31841552150732, 1e-9);
  EXPECT_NEAR(spearman(predictions, targets), 42.727272727272734, 1e-9);
  EXPECT_DOUBLE_EQ(pearson({1, 1}, {0, 3}), 0);
  EXPECT_DOUBLE_EQ(spearman({1, 5}, {0, 3}), 100);
}

TEST(Metrics, NumbersAsPythonReadsThem) {
  EXPECT_EQ(number_in(" 3.4\n"), 3.4);
  EXPECT_EQ(number_in("+2"), 2);
  EXPECT_EQ(number_in("-1e1"), -10);
  for (const char* text : {"", " ", "3.4 or so", "nan", "inf", "+-2", "+", "high"})
    EXPECT_FALSE(number_in(text)) << text;
}

TEST(Metrics, NothingToScoreAndUnequalCounts) {
  EXPECT_THAT(message_of<Error>([] { accuracy({}, {}); }), HasSubstr("nothing to score"));
  EXPECT_THAT(message_of<Error>([] {
                macro_f1({"a"}, {"a", "b"}, {"a", "b"});
              }),
              HasSubstr("1 predictions for 2 examples"));
}

}  // namespace
}  // namespace trimtab
