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

TEST(Metrics, SquadNormalForm) {
  EXPECT_EQ(normalize_answer("  The  U.S.A., an\tApple-pie: a \"Thing\" "), "usa applepie thing");
  EXPECT_EQ(normalize_answer("Theatre anthem"), "theatre anthem");
  EXPECT_EQ(normalize_answer("the"), "");
}

TEST(Metrics, ExactMatchAndF1TakeTheBestReference) {
  EXPECT_DOUBLE_EQ(exact_match({"The Paris!", "Lyon"}, {{"Nice", "paris"}, {"Paris"}}), 50);
  // "new york city" against "york": precision 1/3, recall 1; against "new york": 2/3 and 1.
  EXPECT_DOUBLE_EQ(token_f1({"New York City"}, {{"York"}}), 50);
  EXPECT_DOUBLE_EQ(token_f1({"New York City"}, {{"York", "the New York"}}), 80);
  EXPECT_DOUBLE_EQ(token_f1({"x x x"}, {{"x y"}}), 40);  // a word counts as often as both have it
  EXPECT_DOUBLE_EQ(token_f1({""}, {{"x"}}), 0);
}

TEST(Metrics, NothingToScoreAndUnequalCounts) {
  EXPECT_THAT(message_of<Error>([] { accuracy({}, {}); }), HasSubstr("nothing to score"));
  EXPECT_THAT(message_of<Error>([] {
                macro_f1({"a"}, {"a", "b"}, {"a", "b"});
              }),
              HasSubstr("1 predictions for 2 examples"));
  EXPECT_THAT(message_of<Error>([] { exact_match({"a"}, {{}}); }), HasSubstr("example 0 has no reference"));
}

}  // namespace
}  // namespace trimtab
