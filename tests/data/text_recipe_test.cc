// SPDX-License-Identifier: Apache-2.0
#include "data/text_recipe.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "data/shots.h"
#include "data/tiny_vocabulary.h"
#include "data/tokenizers/open_tokenizer.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Ids = std::vector<TokenId>;

Ids with_eos(Ids ids, TokenId eos) {
  ids.push_back(eos);
  return ids;
}

TEST(TextRecipe, EosBehindWholeText) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {.text = "{input}", .max_input = 64, .max_target = 16});
  RecipeCounts counts;
  EXPECT_EQ(recipe.encode_input("the ship turns", counts), with_eos(t->encode("the ship turns"), t->eos()));
  EXPECT_EQ(recipe.encode_target("yes", counts), with_eos(t->encode("yes"), t->eos()));
  EXPECT_EQ(recipe.encode_input("", counts), Ids{t->eos()});
  EXPECT_EQ(counts.cut_inputs + counts.cut_targets, 0u);
}

TEST(TextRecipe, SentinelIsPutBeforeTargetsAndTakenFromAnswers) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {.max_input = 64, .max_target = 16, .sentinel = t->sentinel(0)});
  Ids yes = t->encode("yes");
  yes.insert(yes.begin(), t->sentinel(0));
  RecipeCounts counts;
  EXPECT_EQ(recipe.encode_target("yes", counts), with_eos(yes, t->eos()));
  EXPECT_EQ(recipe.encode_labels({"yes"}), std::vector<Ids>{with_eos(yes, t->eos())});
  EXPECT_EQ(recipe.encode_input("yes", counts), with_eos(t->encode("yes"), t->eos()));
  EXPECT_EQ(recipe.decode_target(yes), "yes");
  EXPECT_EQ(recipe.decode_target(t->encode("yes")), "yes");
  EXPECT_EQ(recipe.decode_target(Ids{t->sentinel(0)}), "");
  // It counts: a label that fills the target without it does not fit with it.
  const auto length = static_cast<int>(t->encode("yes").size()) + 1;
  EXPECT_NO_THROW(TextRecipe(*t, {.max_input = 64, .max_target = length}).encode_labels({"yes"}));
  EXPECT_THROW(TextRecipe(*t, {.max_input = 64, .max_target = length, .sentinel = t->sentinel(0)})
                   .encode_labels({"yes"}),
               ConfigError);
  EXPECT_EQ(TextRecipe(*t, {.max_input = 64, .max_target = 16}).decode_target(yes), "<extra_id_0> yes");
}

TEST(TextRecipe, TrimsToRoomForEosAndCounts) {
  const TinyTokenizer t;
  const Ids all = t->encode("the small ship turns into a quiet harbour");
  const auto exact = static_cast<int>(all.size()) + 1;
  RecipeCounts counts;
  EXPECT_EQ(TextRecipe(*t, {.max_input = exact, .max_target = 9})
                .encode_input("the small ship turns into a quiet harbour", counts),
            with_eos(all, t->eos()));
  EXPECT_EQ(counts.cut_inputs, 0u);
  const TextRecipe shorter(*t, {.max_input = exact - 1, .max_target = 2});
  EXPECT_EQ(shorter.encode_input("the small ship turns into a quiet harbour", counts),
            with_eos(Ids(all.begin(), all.end() - 1), t->eos()));
  const Ids target = shorter.encode_target("the ship turns", counts);
  EXPECT_EQ(target, with_eos({t->encode("the ship turns").front()}, t->eos()));
  EXPECT_EQ(counts.cut_inputs, 1u);
  EXPECT_EQ(counts.cut_targets, 1u);
  EXPECT_EQ(counts.longest_target, 2u);
}

TEST(TextRecipe, TemplateStaysWholeWhenTextIsCut) {
  const TinyTokenizer t;
  const std::string long_text = "the small ship turns into a quiet harbour where small boats wait for wind";
  RecipeCounts counts;
  const TextRecipe recipe(*t, {.text = "question {input} answer yes", .max_input = 20, .max_target = 8});
  EXPECT_EQ(recipe.encode_input("the ship", counts),
            with_eos(t->encode("question the ship answer yes"), t->eos()));
  const Ids cut = recipe.encode_input(long_text, counts);
  EXPECT_EQ(counts.cut_inputs, 1u);
  EXPECT_EQ(cut.size(), 20u);
  Ids back = with_eos(t->encode("answer yes"), t->eos());
  EXPECT_EQ(Ids(cut.end() - static_cast<std::ptrdiff_t>(back.size()), cut.end()), back);
  const Ids front = t->encode("question the small");
  EXPECT_EQ(Ids(cut.begin(), cut.begin() + static_cast<std::ptrdiff_t>(front.size())), front);
}

// Input and target of a decoder-only model are one text: only the target ends, and it begins a word.
TEST(TextRecipe, OneTextGoesOnIntoTheTarget) {
  const TinyTokenizer t;
  RecipeCounts counts;
  const TextRecipe recipe(*t, {.text = "{input} answer", .max_input = 20, .max_target = 8, .one_text = true});
  EXPECT_EQ(recipe.encode_input("the ship", counts), t->encode("the ship answer"));
  EXPECT_EQ(recipe.encode_target("yes", counts), with_eos(t->encode(" yes"), t->eos()));
  EXPECT_EQ(recipe.encode_labels({"yes"}).front(), recipe.encode_target("yes", counts));
  EXPECT_EQ(recipe.decode_target(t->encode("yes")), "yes");
  const std::string long_text = "the small ship turns into a quiet harbour where small boats wait for wind";
  const Ids cut = recipe.encode_input(long_text, counts);
  const Ids back = t->encode("answer");
  EXPECT_EQ(cut.size(), 19u) << "room is kept for the token that may begin it";
  EXPECT_EQ(Ids(cut.end() - static_cast<std::ptrdiff_t>(back.size()), cut.end()), back);

  const TextRecipe begun(*t, {.max_input = 20, .one_text = true, .begin = 7});
  Ids expected = t->encode("the ship");
  expected.insert(expected.begin(), 7);
  EXPECT_EQ(begun.encode_input("the ship", counts), expected);
  EXPECT_EQ(begun.encode_input("", counts), Ids{7});
  EXPECT_EQ(TextRecipe(*t, {.one_text = true}).encode_input("", counts), Ids{t->eos()})
      << "a model reads at least one token";
}

TEST(TextRecipe, OneTextWantsNoBlankBeforeTheTarget) {
  const TinyTokenizer t;
  EXPECT_THAT(
      message_of<ConfigError>([&] { TextRecipe(*t, {.text = "{input} answer: ", .one_text = true}); }),
      HasSubstr("ends in a blank"));
  EXPECT_NO_THROW(TextRecipe(*t, {.text = "{input} answer: "}));
  EXPECT_NO_THROW(TextRecipe(*t, {.text = "{input}\nanswer:\n", .one_text = true}));
}

TEST(TextRecipe, TemplatesNest) {
  EXPECT_EQ(nested_template("What is {input}", "{input}? It is"), "What is {input}? It is");
  EXPECT_EQ(nested_template("{input}", "{input}"), "{input}");
}

// What a template says is tokenised between the places of trained positions, which count tokens from the
// beginning or from the end, whatever the input and however it is cut.
TEST(TextRecipe, PlacesForTrainedPositions) {
  const TinyTokenizer t;
  const auto count = [&](const std::string& text) { return t->encode(text).size(); };
  RecipeCounts counts;
  const TextRecipe recipe(
      *t, {.text = "{prompt:3}question{prompt}{input} so{prompt:2} answer yes", .max_input = 20});
  ASSERT_EQ(recipe.places().size(), 3u);
  EXPECT_EQ(recipe.places()[0].positions, 3);
  EXPECT_EQ(recipe.places()[0].tokens, 0u);
  EXPECT_EQ(recipe.places()[1].positions, std::nullopt);
  EXPECT_FALSE(recipe.places()[1].from_end);
  EXPECT_EQ(recipe.places()[1].tokens, count("question"));
  EXPECT_TRUE(recipe.places()[2].from_end);
  EXPECT_EQ(recipe.places()[2].tokens, count("answer yes") + 1) << "with the end of the text";
  for (const std::string input :
       {"the ship", "the small ship turns into a quiet harbour where small boats wait"}) {
    const Ids ids = recipe.encode_input(input, counts);
    const Ids front = t->encode("question"), back = with_eos(t->encode("answer yes"), t->eos());
    EXPECT_EQ(Ids(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(front.size())), front);
    EXPECT_EQ(Ids(ids.end() - static_cast<std::ptrdiff_t>(back.size()), ids.end()), back);
    EXPECT_LE(ids.size(), 20u);
  }
  EXPECT_EQ(counts.cut_inputs, 1u);
}

TEST(TextRecipe, PlacesOfOneText) {
  const TinyTokenizer t;
  const auto places = [&](const std::string& text, bool first) {
    return TextRecipe(*t, {.text = text, .one_text = true, .begin = 7, .prompt_first = first}).places();
  };
  for (const std::string text : {"{input} answer", "{prompt}{input} answer"}) {
    EXPECT_EQ(places(text, true).at(0).tokens, 0u);
    EXPECT_EQ(places(text, false).at(0).tokens, 1u) << "behind the token that begins the text";
  }
  EXPECT_EQ(places("yes{prompt}{input} answer", true).at(0).tokens, 1 + t->encode("yes").size());
  EXPECT_EQ(places("{input}{prompt} answer", true).at(0).tokens, t->encode(" answer").size());
  EXPECT_THAT(message_of<ConfigError>([&] { places("{input} answer{prompt}", true); }),
              HasSubstr("put the cue behind it"));
}

TEST(TextRecipe, ShowsExamples) {
  const TinyTokenizer t;
  RecipeCounts counts;
  const TextRecipe recipe(*t, {.text = "{shots}{input} answer", .shots = "the {input} yes\n"});
  EXPECT_EQ(recipe.encode_input("ship", counts),
            with_eos(t->encode("the {input} yes\nship answer"), t->eos()))
      << "what is shown is not read as a template";
  EXPECT_NE(recipe.identity(), TextRecipe(*t, {.text = "{shots}{input} answer", .shots = "no\n"}).identity());
  EXPECT_THAT(message_of<ConfigError>([&] { TextRecipe(*t, {.text = "{input}", .shots = "x"}); }),
              HasSubstr("put {shots} into it"));
  EXPECT_THAT(message_of<ConfigError>([&] { TextRecipe(*t, {.text = "{shots}{input}"}); }),
              HasSubstr("set text.shots"));
}

TEST(InputTemplate, BadPlacesAreRefused) {
  for (const char* text : {"{prompt:}{input}", "{prompt:0}{input}", "{prompt:2x}{input}",
                           "{prompt:-1}{input}", "{input}{prompt:3"})
    EXPECT_THAT(message_of<ConfigError>([&] { InputTemplate{text}; }), HasSubstr("'{prompt:10}'")) << text;
  EXPECT_THROW(InputTemplate("{prompt}"), ConfigError);
  EXPECT_THROW(InputTemplate("{input}{prompt}{input}"), ConfigError);
  EXPECT_THROW(InputTemplate("{shots}{input}{shots}", "x"), ConfigError);
}

// Else they are trained as the letters they are made of.
TEST(InputTemplate, NamesThatStandForNothingAreRefused) {
  const auto refusal = [](const std::string& text) {
    return message_of<ConfigError>([&] { InputTemplate{text}; });
  };
  EXPECT_THAT(refusal("{premise} {input}"),
              AllOf(HasSubstr("{premise} stands for nothing"), HasSubstr("known: {input}, {prompt}, {shots}"),
                    HasSubstr("'{{premise}'")));
  EXPECT_THAT(refusal("{inputt}"), HasSubstr("did you mean 'input'?"));
  EXPECT_THAT(refusal("{prompts}{input}"), HasSubstr("did you mean 'prompt'?"));
  EXPECT_THAT(refusal("{{input} {{{premise}"), HasSubstr("{premise} stands for nothing"));
  EXPECT_THAT(refusal("{{input}"), HasSubstr("should contain {input} once"));
  EXPECT_THAT(message_of<ConfigError>([] { text_of_shots({}, "{sentence} {target}"); }),
              HasSubstr("text.shot '{sentence} {target}': {sentence} stands for nothing"));
}

TEST(InputTemplate, BracesThatAreText) {
  const InputTemplate around("{{premise} {{{input}} {prompt}{\"a\": 1} { {{shots}{shots}", "{{as it is");
  EXPECT_EQ(around.front(), "{premise} {");
  EXPECT_EQ(around.back(), "} ");
  ASSERT_EQ(around.segments().size(), 2U);
  EXPECT_EQ(around.segments()[1], "{\"a\": 1} { {shots}{{as it is");
  EXPECT_EQ(nested_template("{{input}: {input}", "<{input}>"), "{{input}: <{input}>");
  TextExample example;
  example.input = "{{x";
  example.target = "y";
  EXPECT_EQ(text_of_shots({example}, "{{input} {input}={target}"), "{input} {{x=y");
}

TEST(Shots, AreAsManyOfEachLabelAndTheSameForASeed) {
  std::vector<TextExample> examples;
  for (int i = 0; i < 40; ++i) {
    TextExample example;
    example.id = example.input = std::to_string(i);
    example.target = i % 10 == 0 ? "rare" : "usual";
    examples.push_back(example);
  }
  const std::vector<std::string> labels = {"rare", "usual"};
  const auto ids = [&](std::int64_t count, std::uint64_t seed) {
    std::vector<std::string> out;
    for (const TextExample& example : drawn_shots(examples, labels, count, seed)) out.push_back(example.id);
    return out;
  };
  const auto rare = [&](std::int64_t count) {
    return std::ranges::count_if(drawn_shots(examples, labels, count, 1),
                                 [](const TextExample& example) { return example.target == "rare"; });
  };
  EXPECT_EQ(rare(6), 3);
  EXPECT_EQ(rare(20), 4) << "there are no more";
  EXPECT_EQ(ids(6, 1), ids(6, 1));
  EXPECT_NE(ids(6, 1), ids(6, 2));
  EXPECT_THAT(message_of<ConfigError>([&] { ids(41, 1); }), HasSubstr("41 examples are to be shown"));
  EXPECT_EQ(text_of_shots({examples[1], examples[10]}, "Q: {input} A: {target}\n"),
            "Q: 1 A: usual\nQ: 10 A: rare\n");
  EXPECT_THROW(text_of_shots(examples, "{target} {input}"), ConfigError);
}

TEST(TextRecipe, EncodesExamples) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {});
  RecipeCounts counts;
  const ExampleStore store =
      recipe.encode({{.input = "the ship", .target = "yes"}, {.input = "a", .target = "no"}}, counts);
  ASSERT_EQ(store.size(), 2u);
  const auto row = store.inputs.row(0);
  EXPECT_EQ(Ids(row.begin(), row.end()), with_eos(t->encode("the ship"), t->eos()));
  EXPECT_EQ(store.targets.length(1), static_cast<std::int64_t>(t->encode("no").size() + 1));
  EXPECT_EQ(counts.examples, 2u);
  EXPECT_THAT(message_of<Error>([&] { recipe.encode({}, counts); }), HasSubstr("data set is empty"));
}

TEST(TextRecipe, Labels) {
  const TinyTokenizer t;
  const TextRecipe recipe(*t, {.max_target = 3});
  EXPECT_EQ(recipe.encode_labels({"yes"}).at(0), with_eos(t->encode("yes"), t->eos()));
  EXPECT_THAT(message_of<ConfigError>([&] { recipe.encode_labels({"the small quiet harbour"}); }),
              AllOf(HasSubstr("label 'the small quiet harbour' takes"), HasSubstr("max_target is 3")));
  EXPECT_THAT(message_of<ConfigError>([&] { recipe.encode_labels({"\xE2\x82\xAC"}); }),
              HasSubstr("holds an unknown piece"));
}

TEST(TextRecipe, BadOptions) {
  const TinyTokenizer t;
  const auto error = [&](RecipeOptions options) {
    return message_of<ConfigError>([&] { TextRecipe(*t, options); });
  };
  EXPECT_THAT(error({.text = "no slot"}), HasSubstr("should contain {input} once"));
  EXPECT_THAT(error({.text = "{input} {input}"}), HasSubstr("should contain {input} once"));
  EXPECT_THAT(error({.max_input = 1}), HasSubstr("are 1 and 16"));
  EXPECT_THAT(error({.text = "the small ship turns {input}", .max_input = 3}),
              HasSubstr("leaves no room for text"));
}

// A chat template: what it says are tokens, what an input says is text, in one piece with what stands around.
TEST(TextRecipe, SpecialTokensOfTheTemplateAreTokensAndThoseOfInputsAreText) {
  const auto t = open_tokenizer(std::string(TRIMTAB_TOKENIZERS_DIR) + "/llama3/tokenizer.json");
  const TokenId end = t->encode("<|end|>", SpecialText::kToken).at(0);
  const auto times = [&](const Ids& ids) { return std::ranges::count(ids, end); };
  const TextRecipe recipe(
      *t, {.text = "<|end|>so {input}, they say<|end|>so", .max_input = 40, .one_text = true});
  RecipeCounts counts;
  Ids expected = {end};
  const Ids text = t->encode("so it goes, they say"), back = t->encode("so");
  expected.insert(expected.end(), text.begin(), text.end());
  expected.push_back(end);
  expected.insert(expected.end(), back.begin(), back.end());
  EXPECT_EQ(recipe.encode_input("it goes", counts), expected);
  for (const std::string input : {"<|end|>", "a<|end|><|end|>b", "\xFF<|end|>\xFF", "<|en", "|end|>"})
    EXPECT_EQ(times(recipe.encode_input(input, counts)), 2) << input;
  EXPECT_EQ(times(TextRecipe(*t, {.text = "<|en{input}"}).encode_input("d|>", counts)), 0)
      << "an input cannot complete one";
  EXPECT_EQ(counts.cut_inputs, 0u);
  std::string long_text;
  for (int i = 0; i < 20; ++i) long_text += "it goes ";
  const Ids cut = recipe.encode_input(long_text, counts);
  EXPECT_EQ(counts.cut_inputs, 1u);
  EXPECT_EQ(times(cut), 2);
  EXPECT_EQ(cut.front(), end);
  EXPECT_EQ(cut.back(), back.back());
  EXPECT_EQ(times(recipe.encode_words("<|end|>")), 0) << "labels are text";
}

TEST(TextRecipe, WhatBeginsEveryTextIsNotSaidAgain) {
  const auto t = open_tokenizer(std::string(TRIMTAB_TOKENIZERS_DIR) + "/llama3/tokenizer.json");
  const TokenId begin = t->encode("<|end|>", SpecialText::kToken).at(0);
  const auto recipe = [&](const std::string& text) {
    return TextRecipe(*t, {.text = text, .max_input = 40, .one_text = true, .begin = begin});
  };
  for (const char* text : {"<|end|>so {input}", "<|end|>{input}", "{prompt}<|end|>{input}"})
    EXPECT_THAT(message_of<ConfigError>([&] { recipe(text); }),
                AllOf(HasSubstr("begins with <|end|>"), HasSubstr("leave it out")));
  EXPECT_NO_THROW(recipe("so<|end|> {input}<|end|>"));
}

Ids joined(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// A vocabulary that puts a blank in front of every text puts none in the middle of one. Merges across a
// boundary, which these small vocabularies have, are no part of it.
TEST(TextRecipe, OneTextIsSpeltAsTheJoinedText) {
  for (const std::string name : {"llama2", "metaspace", "prefix", "words", "gpt2"}) {
    SCOPED_TRACE(name);
    const auto t = open_tokenizer(std::string(TRIMTAB_TOKENIZERS_DIR) + "/" + name + "/tokenizer.json");
    const auto spelt = [&](const Ids& ids) {
      std::string text;
      for (const TokenId id : ids) text += t->piece(id);
      return text;
    };
    const auto one_text = [&](const std::string& text) {
      RecipeCounts counts;
      const TextRecipe recipe(*t, {.text = text, .max_input = 64, .one_text = true});
      return spelt(joined({recipe.encode_input("the frozen", counts), recipe.encode_words("prompt")}));
    };
    EXPECT_EQ(one_text("{input} model:"), spelt(t->encode("the frozen model: prompt")));
    EXPECT_EQ(one_text("{input}\nmodel:\n"), spelt(t->encode("the frozen\nmodel:\nprompt")));
    EXPECT_EQ(one_text("a{prompt} {input}{prompt} mod{prompt}el:"),
              spelt(t->encode("a the frozen model: prompt")));
  }
}

TEST(TextRecipe, TargetsBehindAPrefixVocabularyHaveOneBlank) {
  const auto t = open_tokenizer(std::string(TRIMTAB_TOKENIZERS_DIR) + "/llama2/tokenizer.json");
  const TextRecipe recipe(*t, {.text = "{input} model:", .one_text = true});
  EXPECT_EQ(t->piece(recipe.encode_words("prompt").at(0)), "▁");
  EXPECT_EQ(recipe.encode_words("prompt"), t->encode("prompt"));
  EXPECT_EQ(recipe.encode_labels({"prompt"}).at(0), with_eos(t->encode("prompt"), t->eos()));
  const TextRecipe line(*t, {.text = "{input} model:\n", .one_text = true});
  EXPECT_NE(t->piece(line.encode_words("prompt").at(0)), "▁");
  // Behind a token the reference begins anew, and so does a segment there.
  const TextRecipe token(*t, {.text = "a</s>{prompt}prompt {input}", .max_input = 64, .one_text = true});
  RecipeCounts counts;
  EXPECT_EQ(token.encode_input("is", counts), t->encode("a</s>prompt is", SpecialText::kToken));
  // What is cut keeps what the template says behind it, as a part of the text.
  const TextRecipe cut(*t, {.text = "{input} model:", .max_input = 12, .one_text = true});
  const Ids back = t->encode("model:"), ids = cut.encode_input("the prompt of a frozen prompt is", counts);
  EXPECT_EQ(counts.cut_inputs, 1u);
  EXPECT_EQ(Ids(ids.end() - static_cast<std::ptrdiff_t>(back.size()), ids.end()), back);
  EXPECT_EQ(cut.places().at(0).tokens, 0u);
  const TextRecipe place(*t, {.text = "{input}{prompt} model{prompt}:", .max_input = 40, .one_text = true});
  EXPECT_EQ(place.places().at(0).tokens, back.size());
}

// An encoder-decoder reads two texts, and segments that are texts of their own.
TEST(TextRecipe, TextsOfAnEncoderDecoderBeginAnew) {
  const auto t = open_tokenizer(std::string(TRIMTAB_TOKENIZERS_DIR) + "/llama2/tokenizer.json");
  const TextRecipe recipe(*t, {.text = "{input}{prompt}model:"});
  RecipeCounts counts;
  EXPECT_EQ(recipe.encode_words("prompt"), t->encode("prompt"));
  EXPECT_EQ(recipe.encode_input("the", counts),
            with_eos(joined({t->encode("the"), t->encode("model:")}), t->eos()));
}

}  // namespace
}  // namespace trimtab
