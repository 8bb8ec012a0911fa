// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "data/temp_folder.h"
#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/byte_alphabet.h"
#include "data/tokenizers/merge_table.h"
#include "data/tokenizers/pattern.h"
#include "data/tokenizers/pre_tokenizer.h"
#include "data/tokenizers/text_normalizer.h"
#include "runtime/check.h"
#include "runtime/random.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Ids = std::vector<TokenId>;
using Words = std::vector<std::string>;

TEST(ByteAlphabet, SpellsEveryByteOnce) {
  EXPECT_EQ(byte_spellings()[' '], "Ġ");
  EXPECT_EQ(byte_spellings()['\n'], "Ċ");
  EXPECT_EQ(byte_spellings()['~'], "~");
  EXPECT_EQ(byte_spellings()[0xAD], "Ń");
  EXPECT_EQ(byte_spellings()[0xFF], "ÿ");
  std::string all, spelled;
  for (unsigned byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
    spelled += byte_spellings()[byte];
  }
  EXPECT_EQ(spelled_bytes(spelled), all);
  EXPECT_EQ(spelled_bytes("a b"), std::nullopt);
  EXPECT_EQ(spelled_bytes("▁a"), std::nullopt);
  EXPECT_EQ(spelled_bytes("\xC4"), std::nullopt);
}

// What byte-pair encoding is, in the slowest way.
Ids merged_slowly(const std::vector<MergeRule>& rules, Ids symbols) {
  for (;;) {
    const MergeRule* best = nullptr;
    std::size_t where = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
      for (const MergeRule& rule : rules)
        if (rule.left == symbols[i] && rule.right == symbols[i + 1] &&
            (best == nullptr || rule.rank < best->rank)) {
          best = &rule;
          where = i;
        }
    if (best == nullptr) return symbols;
    symbols[where] = best->merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(where) + 1);
  }
}

TEST(MergeTable, LowestRankAndLeftmostFirst) {
  // Ids 0..2 are letters; each rule makes a new id.
  for (std::uint64_t number = 0; number < 200; ++number) {
    const RandomStream random(5, Purpose::kTest, number);
    std::uint64_t drawn = 0;
    std::vector<MergeRule> rules;
    for (TokenId merged = 3; merged < 15; ++merged) {
      const auto below = [&] {
        return static_cast<TokenId>(random.bounded(drawn++, static_cast<std::uint64_t>(merged)));
      };
      const MergeRule rule{below(), below(), merged, static_cast<std::uint32_t>(random.bounded(drawn++, 6))};
      const bool known = std::ranges::any_of(
          rules, [&](const MergeRule& r) { return r.left == rule.left && r.right == rule.right; });
      if (!known) rules.push_back(rule);
    }
    Ids word;
    for (std::size_t i = 0; i < number % 40; ++i)
      word.push_back(static_cast<TokenId>(random.bounded(drawn++, 3)));
    const Ids wanted = merged_slowly(rules, word);
    MergeTable::Workspace workspace;
    MergeTable(rules).merge(word, workspace);
    EXPECT_EQ(word, wanted) << number;
  }
}

TEST(MergeTable, WithoutRules) {
  Ids word = {0, 1, 2};
  MergeTable::Workspace workspace;
  MergeTable({}).merge(word, workspace);
  EXPECT_EQ(word, (Ids{0, 1, 2}));
}

Words cut(const std::vector<PreTokenizerStep>& steps, const std::string& text,
          Behind behind = Behind::kNothing) {
  Words words;
  PreTokenizer(steps, "test").for_each_word(text, behind, [&](std::string_view word) {
    words.emplace_back(word);
  });
  return words;
}

TEST(PreTokenizer, KnownCuts) {
  EXPECT_THAT(cut({gpt2_split()}, "I'll  pay 12 now!"),
              ElementsAre("I", "'ll", " ", " pay", " 12", " now", "!"));
  EXPECT_THAT(cut({digit_split(), gpt2_split()}, "a  12"), ElementsAre("a", "  ", "1", "2"));
  EXPECT_THAT(cut(named_pre_tokenizer("llama-bpe", ""), "I'LL pay 12345\n\n x"),
              ElementsAre("I", "'LL", " pay", " ", "123", "45", "\n\n", " x"));
  EXPECT_THAT(cut(named_pre_tokenizer("qwen2", ""), "a12"), ElementsAre("a", "1", "2"));
  EXPECT_THAT(cut({LeadingBlankStep{}}, "ab"), ElementsAre(" ab"));
  EXPECT_THAT(cut({LeadingBlankStep{}}, " ab"), ElementsAre(" ab"));
  EXPECT_THAT(cut({MetaspaceStep{}}, "a b"), ElementsAre("▁a", "▁b"));
  EXPECT_THAT(cut({MetaspaceStep{.prepend = MetaspaceStep::Prepend::kFirst}}, "a  b", Behind::kToken),
              ElementsAre("a", "▁", "▁b"));
  EXPECT_THAT(cut({MetaspaceStep{}}, "a b", Behind::kToken), ElementsAre("▁a", "▁b"));
  EXPECT_THAT(cut({MetaspaceStep{}}, "a b", Behind::kText), ElementsAre("a", "▁b"));
  EXPECT_THAT(cut({MetaspaceStep{}}, " a", Behind::kText), ElementsAre("▁a"));
  EXPECT_THAT(cut({LeadingBlankStep{}}, "ab", Behind::kText), ElementsAre("ab"));
  EXPECT_THAT(cut({digit_split(), LeadingBlankStep{}}, "a1", Behind::kText), ElementsAre("a", " 1"));
  EXPECT_THAT(cut({SplitStep{"b", false, true}}, "abcb"), ElementsAre("a", "c"));
  EXPECT_THAT(cut({SplitStep{"b", true, false}}, "abcb"), ElementsAre("b", "b"));
  EXPECT_TRUE(cut({gpt2_split()}, "").empty());
  EXPECT_THAT(message_of<ConfigError>([] { named_pre_tokenizer("qwen", "x.gguf"); }), HasSubstr("'qwen2'"));
}

TEST(Pattern, WhiteSpaceIsThatOfUnicode) {
  const auto matches = [](std::string_view expression, std::string_view text) {
    const Pattern pattern(expression, "test");
    return Pattern::Scan(pattern, text).next();
  };
  for (const char* space :
       {" ", "\t", "\v", "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\xA8", "\xE3\x80\x80"}) {
    EXPECT_TRUE(matches("\\s", space));
    EXPECT_TRUE(matches("[\\s]", space));
    EXPECT_FALSE(matches("[^\\s]", space));
    EXPECT_FALSE(matches("\\S", space));
    EXPECT_EQ(leading_space(space), std::string_view(space).size());
    EXPECT_EQ(trailing_space(std::string("a") + space), std::string_view(space).size());
  }
  for (const char* other : {"\xE1\xA0\x8E", "\xE2\x80\x8B", "\x1C", "a"}) {
    EXPECT_FALSE(matches("\\s", other));
    EXPECT_EQ(leading_space(other), 0u);
  }
  EXPECT_TRUE(matches("\\\\s", "\\s"));  // a backslash and an s
  EXPECT_FALSE(matches("\\\\s", " "));
  EXPECT_TRUE(matches("^b$", "a\nb\nc"));
}

// Each is what `tokenizers` 0.23 makes of the same pattern and text; PCRE2 alone makes something else of it.
TEST(Pattern, MeansWhatItMeansToOniguruma) {
  const auto isolated = [](const char* pattern, const char* text) { return cut({SplitStep{pattern}}, text); };
  EXPECT_THAT(isolated("1{1,3}+", "a11111"), ElementsAre("a", "11111"));   // not possessive
  EXPECT_THAT(isolated("1{2}?2", "112 2"), ElementsAre("112", " ", "2"));  // not lazy
  EXPECT_THAT(isolated("a{2,3}?", "aaaaab"), ElementsAre("aa", "aa", "ab"));
  EXPECT_THAT(isolated("a{,2}b", "aaab"), ElementsAre("a", "aab"));
  EXPECT_THAT(isolated("[^(\\s|[.,!])]+", "ab.c"), ElementsAre("ab", ".", "c"));  // BLOOM's
  EXPECT_THAT(isolated("[a[b-d]\\-]+", "xa-dx"), ElementsAre("x", "a-d", "x"));
  EXPECT_THAT(isolated("\\u0042|\\x{43}|\\v", "aBbCc\v"), ElementsAre("a", "B", "b", "C", "c", "\v"));
  EXPECT_THAT(isolated("a(?i)b|c", "aB C c aC"), ElementsAre("aB", " C c ", "aC"));
  EXPECT_THAT(isolated("\\bx", "e\u0301x x"), ElementsAre("e\u0301x ", "x"));  // a mark is of the word
  EXPECT_THAT(isolated("\\w+", "a\u00B2 _\u0301!"), ElementsAre("a\u00B2", " ", "_\u0301", "!"));
  EXPECT_THAT(isolated("[\\w]+", "a\u00B2b"), ElementsAre("a", "\u00B2", "b"));
  EXPECT_THAT(isolated("\\p{Hiragana}", "a\u30FC"), ElementsAre("a\u30FC"));  // another script's as well
  EXPECT_THAT(isolated("\\P{Nd}+\\P{Lu}", "1abT"), ElementsAre("1", "ab", "T"));
  EXPECT_THAT(isolated("(?i:'s|k)", "'S'\u017F\u212A"), ElementsAre("'S", "'\u017F", "\u212A"));
  EXPECT_THAT(isolated("(a)+(?=b)|(?<=b)c|(?>d+)|^e$", "aab\ne\nbcdd"),
              ElementsAre("aa", "b\n", "e", "\nb", "c", "dd"));
}

TEST(Pattern, RefusesWhatMayMeanSomethingElse) {
  const auto refusal = [](std::string_view pattern) {
    return message_of<ConfigError>([&] { Pattern(pattern, "t.json"); });
  };
  EXPECT_EQ(refusal("ab\\h+"),
            "t.json: the pattern 'ab\\h+' is not supported for '\\h' at byte 2: this escape is not known to "
            "mean the "
            "same to Oniguruma and PCRE2");
  for (const char* escape :
       {"\\K", "\\C", "\\R", "\\X", "\\N", "\\G", "\\Q", "\\1", "\\07", "\\k<a>", "\\cA", "\\\u00E9"})
    EXPECT_THAT(refusal(escape), HasSubstr("this escape is not known")) << escape;
  for (const char* group : {"(?s).", "(?m).", "(?x)a", "(?U)a", "(?J)a", "(?-i)a", "(?#a)b", "(?<n>a)",
                            "(?(1)a)", "(?~a)", "(?C1)a", "(*UCP)a", "(*LIMIT_MATCH=1)a", "(?R)"})
    EXPECT_THAT(refusal(group), HasSubstr("at byte 0: only (...), (?:...)")) << group;
  for (const auto& [pattern, why] : std::initializer_list<std::pair<const char*, const char*>>{
           {"\\pL", "'\\p' at byte 0: Oniguruma knows no properties without braces"},
           {"a\\p{L&}", "'\\p{L&}' at byte 1: no general category"},
           {"\\p{Punct}", "of '\\p{sc:Punct}', which PCRE2 was given"},
           {"\\p{sc:Han}", "no general category and no script"},
           {"[[:alpha:]]", "'[:' at byte 1: in a class"},
           {"[a-z&&[^b]]", "'&&' at byte 4: in a class"},
           {"[a[^b]]", "'[^' at byte 2: in a class"},
           {"[]a]", "'[]' at byte 0: the class is empty"},
           {"[a\\W]", "in a class, write what it is"},
           {"[a-\\d]", "a range should go from a character to another"},
           {"[a-c-e]", "a range of what?"},
           {"[z-a]", "from the larger character to the smaller"},
           {"[a", "the class is not closed"},
           {"(a", "the group is not closed"},
           {"a)", "')' at byte 1: it closes no group"},
           {"*a", "there is nothing to repeat"},
           {"a|+", "'+' at byte 2: there is nothing to repeat"},
           {"a**", "repeated once more"},
           {"(?:^|a)+", "a place in the text cannot be repeated"},
           {"(?=a)*b", "a place in the text cannot be repeated"},
           {"a{b", "no {n}, {n,}, {n,m} or {,n}"},
           {"a{3,2}", "from the smaller number to the larger"},
           {"a{0}b", "not to 0"},
           {"\\xE9", "takes it for a byte"},
           {"\\x4", "2 hexadecimal digits"},
           {"\\u00f", "4 hexadecimal digits"},
           {"\\x{D800}", "no such character"},
           {"\\x{41", "the brace is not closed"},
           {"(?<=a$)b", "looking behind"},
           {"(?<!(a))b", "looking behind"},
           {"(?<=a+)b", "cannot be read: lookbehind assertion is not fixed length"},
           {"(?i)Stra\u00DFe", "'St' is one character, too"},
           {"(?i:\u00DF)", "only characters of ASCII"},
           {"(?i:\\p{L})", "only \\s and \\d are supported"},
           {"(?i:(?:s)s)", "'ss' is one character, too"},
           {"(?i:s){2}", "cannot be counted"},
           {"a\xFF", "t.json: byte 1 of the pattern 'a\uFFFD' is no UTF-8"},
           {"a*", "matches an empty text"}})
    EXPECT_THAT(refusal(pattern), HasSubstr(why)) << pattern;
  EXPECT_THAT(refusal(std::string(5000, '(')), HasSubstr("deeper than 64 groups"));
  EXPECT_THAT(refusal(std::string(5000, '[')), HasSubstr("deeper than 64 groups"));
}

TEST(Pattern, GivesUpInWords) {
  const Pattern pattern("(x+x+)+[yz]x", "tokenizer.json");  // exponential
  EXPECT_THAT(
      message_of<Error>([&] { Pattern::Scan(pattern, std::string(60, 'x') + "y").next(); }),
      HasSubstr("tokenizer.json: splitting a text of 61 bytes failed at byte 0: match limit exceeded"));
}

TEST(TextNormalizer, Steps) {
  using Kind = NormalizerStep::Kind;
  const auto run = [](const std::vector<NormalizerStep>& steps, const std::string& text) {
    return normalized(steps, text, "t.json");
  };
  EXPECT_EQ(run({{Kind::kNfc}}, "e\xCC\x81 \xE1\x84\x80\xE1\x85\xA1"), "\xC3\xA9 \xEA\xB0\x80");
  EXPECT_EQ(run({{Kind::kNfc}}, "\xE2\x84\xAB"), "\xC3\x85");  // the sign for Angstrom
  EXPECT_EQ(run({{Kind::kNfc}}, std::string("a\0b", 3)), std::string("a\0b", 3));
  EXPECT_EQ(run({{Kind::kNfc}}, std::string("\0\xCC\x81", 3)), std::string("\0\xCC\x81", 3));
  EXPECT_EQ(run({{Kind::kPrepend, "▁"}, {Kind::kReplace, " ", "▁"}}, " a b"), "▁▁a▁b");
  EXPECT_EQ(run({{Kind::kPrepend, "▁"}}, ""), "");
}

TEST(TextNormalizer, NoTextGrowsWithoutEnd) {
  using Kind = NormalizerStep::Kind;
  const std::vector<NormalizerStep> bomb(12, {Kind::kReplace, "a", "aaaaaaaaaa"});
  EXPECT_THAT(message_of<Error>([&] { normalized(bomb, "a", "t.json"); }),
              HasSubstr("t.json: step 3 of the normalizer makes more than 4160 bytes of a text of 1"));
  EXPECT_EQ(normalized(bomb, "b", "t.json"), "b");
  const std::vector<NormalizerStep> prefix = {{Kind::kNfc}, {Kind::kPrepend, std::string(5000, 'x')}};
  EXPECT_THAT(message_of<Error>([&] { normalized(prefix, "a", "t.json"); }), HasSubstr("step 1"));
  const std::vector<NormalizerStep> wide = {{Kind::kReplace, "a", std::string(64, 'b')}};
  EXPECT_EQ(normalized(wide, std::string(1000, 'a'), "t.json").size(), 64000u);
}

TEST(AddedTokens, LeftmostAndLongest) {
  const AddedTokenFinder finder(
      {{.text = "<a>", .id = 1},
       {.text = "<a><b>", .id = 2},
       {.text = "b>", .id = 3, .special = false},
       {.text = "|", .id = 4, .special = false, .strip_left = true, .strip_right = true}},
      "test");
  const auto found = [&](const std::string& text, std::size_t from, SpecialText special) {
    const auto token = finder.next(text, from, special);
    return token ? Ids{token->id, static_cast<TokenId>(token->begin), static_cast<TokenId>(token->end)}
                 : Ids{};
  };
  EXPECT_EQ(found("x<a><b>", 0, SpecialText::kToken), (Ids{2, 1, 7}));
  EXPECT_EQ(found("x<a><a>", 0, SpecialText::kToken), (Ids{1, 1, 4}));
  EXPECT_EQ(found("x<a><a>", 2, SpecialText::kToken), (Ids{1, 4, 7}));
  EXPECT_EQ(found("<a><b>", 0, SpecialText::kPlain), Ids{});  // hidden in a longer one
  EXPECT_EQ(found("<a> <b>", 0, SpecialText::kPlain), (Ids{3, 5, 7}));
  EXPECT_EQ(found("a \t| \xC2\xA0 b", 0, SpecialText::kPlain), (Ids{4, 1, 8}));
  EXPECT_EQ(found("a \t| b", 2, SpecialText::kPlain), (Ids{4, 2, 5}));
  EXPECT_EQ(found("", 0, SpecialText::kToken), Ids{});
  EXPECT_THAT(message_of<Error>([] { AddedTokenFinder({{.text = ""}}, "t.json"); }), HasSubstr("t.json"));
}

}  // namespace
}  // namespace trimtab
