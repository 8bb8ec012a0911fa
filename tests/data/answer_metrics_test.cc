// SPDX-License-Identifier: Apache-2.0
#include "data/answer_metrics.h"

#include <gmock/gmock.h>

#include "data/temp_folder.h"
#include "data/unicode.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::HasSubstr;

TEST(AnswerMetrics, SquadNormalForm) {
  EXPECT_EQ(normalize_answer("  The  U.S.A., an\tApple-pie: a \"Thing\" "), "usa applepie thing");
  EXPECT_EQ(normalize_answer("Theatre anthem"), "theatre anthem");
  EXPECT_EQ(normalize_answer("the"), "");
}

TEST(AnswerMetrics, ExactMatchAndF1TakeTheBestReference) {
  EXPECT_DOUBLE_EQ(exact_match({"The Paris!", "Lyon"}, {{"Nice", "paris"}, {"Paris"}}), 50);
  // "new york city" against "york": precision 1/3, recall 1; against "new york": 2/3 and 1.
  EXPECT_DOUBLE_EQ(token_f1({"New York City"}, {{"York"}}), 50);
  EXPECT_DOUBLE_EQ(token_f1({"New York City"}, {{"York", "the New York"}}), 80);
  EXPECT_DOUBLE_EQ(token_f1({"x x x"}, {{"x y"}}), 40);  // a word counts as often as both have it
  EXPECT_DOUBLE_EQ(token_f1({""}, {{"x"}}), 0);
}

// By Python: lower(), without string.punctuation, re.sub(r"\\b(a|an|the)\\b", " "), split().
TEST(AnswerMetrics, NormalFormOfMoreThanAscii) {
  EXPECT_EQ(normalize_answer("rock\u2013the\u2013boat"), "rock\u2013 \u2013boat");
  EXPECT_EQ(normalize_answer("\u00c9COLE  d'\u00c9t\u00e9"), "\u00e9cole d\u00e9t\u00e9");
  EXPECT_EQ(normalize_answer("A\u00a0\u2014 the end"), "\u2014 end");
  EXPECT_EQ(normalize_answer("an_the a"), "anthe");
  EXPECT_EQ(normalize_answer("na\u00efve theory"), "na\u00efve theory");
}

TEST(AnswerMetrics, EmptyNormalForms) {
  EXPECT_DOUBLE_EQ(exact_match({"the"}, {{"a"}}), 100);
  EXPECT_DOUBLE_EQ(token_f1({"the"}, {{"a"}}), 0);  // as SQuAD's script has it
  EXPECT_THAT(message_of<Error>([] { exact_match({"a"}, {{}}); }), HasSubstr("example 0 has no reference"));
}

// The comments of the T5 code's wsc_simple, and its determiners.
TEST(AnswerMetrics, Referents) {
  EXPECT_EQ(names_referent("fuzzy bunny", "The bunny"), true);
  EXPECT_EQ(names_referent("bunny", "the fuzzy bunny"), true);
  EXPECT_EQ(names_referent("THE BUNNY ", "bunny"), true);
  EXPECT_EQ(names_referent("Bob", "Bob's hat"), false);
  EXPECT_EQ(names_referent("hat", "Bob's hat"), false);  // though its words are all there
  EXPECT_EQ(names_referent("Bob's", "Bob's hat"), true);
  EXPECT_EQ(names_referent("hat", "Bob"), false);
  EXPECT_EQ(names_referent("bun", "bunny"), false);  // words, not letters
  for (const char* determiner :
       {"a",    "an",   "few", "her",   "his",   "each", "every", "many",  "much",  "my",  "our",
        "some", "that", "the", "their", "these", "this", "those", "which", "whose", "your"})
    EXPECT_EQ(names_referent(std::string(determiner) + " dog", "dog"), true) << determiner;
  EXPECT_EQ(names_referent("big dog", "small dog"), false);
  EXPECT_EQ(names_referent("", "dog"), std::nullopt);
  EXPECT_EQ(names_referent(" the ", "dog"), std::nullopt);
}

TEST(Unicode, CodePoints) {
  EXPECT_EQ(byte_of_code_point("a\u00fc\u20acz", 0), 0u);
  EXPECT_EQ(byte_of_code_point("a\u00fc\u20acz", 2), 3u);
  EXPECT_EQ(byte_of_code_point("a\u00fc\u20acz", 3), 6u);
  EXPECT_EQ(byte_of_code_point("a\u00fc\u20acz", 9), 7u);
  std::string_view rest = "\U0001F642\xFFx";
  EXPECT_EQ(take_code_point(rest), U'\U0001F642');
  EXPECT_EQ(take_code_point(rest), U'\uFFFD');
  EXPECT_EQ(take_code_point(rest), U'x');
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(to_lower("\u00c4\u0416\U00010400 X\xFF"), "\u00e4\u0436\U00010428 x\uFFFD");
  EXPECT_EQ(to_lower("\u0130"), "i\u0307");
  EXPECT_TRUE(is_word(U'\u00e9') && is_word('_') && is_word('7') && !is_word(U'\u2013') && !is_word(' '));
  EXPECT_TRUE(is_space(U'\u00a0') && is_space('\v') && !is_space(U'\u200b'));
}

}  // namespace
}  // namespace trimtab
