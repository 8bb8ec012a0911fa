// SPDX-License-Identifier: Apache-2.0
//
// What a tokenizer.json may not ask for, and what may be wrong with it.
#include "data/tokenizers/tokenizer_json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "data/temp_folder.h"
#include "data/text_file.h"
#include "data/tokenizers/bpe_tokenizer.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

json small() {
  return json::parse(R"({
    "added_tokens": [{"id": 0, "content": "</s>", "special": true}],
    "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "decoder": null,
    "post_processor": null,
    "model": {"type": "BPE", "vocab": {"</s>": 0, "a": 1, "b": 2, "ab": 3}, "merges": ["a b"]}})");
}

std::unique_ptr<BpeTokenizer> tokenizer_of(const json& file,
                                           const std::string& config = R"({"eos_token": "</s>"})") {
  return std::make_unique<BpeTokenizer>(
      parse_tokenizer_json("tokenizer.json", file.dump(), "config.json", config));
}

template <class E>
std::string refusal(const std::string& pointer, const json& value) {
  json file = small();
  file[json::json_pointer(pointer)] = value;
  return message_of<E>([&] { tokenizer_of(file); });
}

TEST(TokenizerJson, OldAndNewMerges) {
  json file = small();
  EXPECT_EQ(tokenizer_of(file)->encode("abba"), (std::vector<TokenId>{3, 2, 1}));
  file["model"]["merges"] = json::parse(R"([["a", "b"]])");
  EXPECT_EQ(tokenizer_of(file)->encode("abba"), (std::vector<TokenId>{3, 2, 1}));
}

TEST(TokenizerJson, BytesWithoutAPieceAreLeftOutOrUnknown) {
  json file = small();
  EXPECT_EQ(tokenizer_of(file)->encode("axb"), (std::vector<TokenId>{3}));  // as the reference has it
  file["model"]["unk_token"] = "</s>";
  EXPECT_EQ(tokenizer_of(file)->encode("axxb"), (std::vector<TokenId>{1, 0, 0, 2}));
  file["model"]["fuse_unk"] = true;
  EXPECT_EQ(tokenizer_of(file)->encode("axxb"), (std::vector<TokenId>{1, 0, 2}));
}

TEST(TokenizerJson, PiecesThatSpellNoBytesAreNoWords) {
  json file = small();
  file["model"]["ignore_merges"] = true;
  file["model"]["vocab"]["ab ab"] = 4;
  file["pre_tokenizer"]["use_regex"] = false;
  EXPECT_EQ(tokenizer_of(file)->encode("ab ab"), (std::vector<TokenId>{3, 3}));  // nothing spells the blank
  EXPECT_EQ(tokenizer_of(file)->decode(std::vector<TokenId>{4}), "ab ab");
}

TEST(TokenizerJson, NothingIsLeftOutSilently) {
  using C = ConfigError;
  EXPECT_THAT(refusal<C>("/model/type", "Unigram"), HasSubstr("spiece.model"));
  EXPECT_THAT(refusal<C>("/model/type", "WordPiece"), HasSubstr("type WordPiece is not supported"));
  EXPECT_THAT(refusal<C>("/model/dropout", 0.1), HasSubstr("model.dropout is not supported"));
  EXPECT_THAT(refusal<C>("/model/end_of_word_suffix", "</w>"), HasSubstr("model.end_of_word_suffix"));
  EXPECT_THAT(refusal<C>("/normalizer", {{"type", "NFKC"}}), HasSubstr("normalizer: NFKC is not supported"));
  EXPECT_THAT(refusal<C>("/normalizer", json::parse(R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
                         {"type": "Lowercase"}]})")),
              HasSubstr("normalizer.normalizers.1: Lowercase"));
  EXPECT_THAT(refusal<C>("/pre_tokenizer", {{"type", "Whitespace"}}),
              HasSubstr("Whitespace is not supported"));
  EXPECT_THAT(refusal<C>("/pre_tokenizer", json::parse(R"({"type": "Sequence", "pretokenizers": [
                         {"type": "ByteLevel"}, {"type": "Digits"}]})")),
              HasSubstr("Digits behind ByteLevel"));
  const auto split = [](const char* pattern, const char* behavior = "Isolated") {
    return json{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", behavior}};
  };
  EXPECT_THAT(refusal<C>("/pre_tokenizer", split("a", "MergedWithNext")),
              HasSubstr("only Isolated and Removed"));
  EXPECT_THAT(refusal<C>("/pre_tokenizer", split("(a")),
              HasSubstr("'(a' at byte 0: the group is not closed"));
  EXPECT_THAT(refusal<C>("/pre_tokenizer", split("a*")), HasSubstr("matches an empty text"));
  EXPECT_THAT(refusal<C>("/pre_tokenizer", split("\\h+")), HasSubstr("not supported for '\\h' at byte 0"));
  EXPECT_THAT(refusal<C>("/pre_tokenizer", split("[a-z&&[^b]]")), HasSubstr("&&"));
  const auto sequence = [](std::size_t steps, const json& step) {
    return json{{"type", "Sequence"}, {"pretokenizers", std::vector<json>(steps, step)}};
  };
  EXPECT_THAT(refusal<C>("/pre_tokenizer", sequence(65, split("a"))),
              HasSubstr("pre_tokenizer.pretokenizers.64: more than 64 steps"));
  EXPECT_THAT(refusal<C>("/pre_tokenizer", sequence(4, {{"type", "Metaspace"}})),
              HasSubstr("pretokenizers.3: more than 3 steps that put blanks in front of words"));
  EXPECT_THAT(refusal<C>("/decoder", {{"type", "WordPiece"}}), HasSubstr("decoder: WordPiece"));
  const json strip = {{"type", "Strip"}, {"content", " "}, {"start", 2}, {"stop", 0}};
  EXPECT_THAT(refusal<C>("/decoder", strip), HasSubstr("only one blank in front of the text"));
  const json replace = {{"type", "Replace"}, {"pattern", {{"String", "_"}}}, {"content", " "}};
  EXPECT_THAT(refusal<C>("/decoder", replace), HasSubstr("decoder: only '▁' by a blank"));
  EXPECT_THAT(refusal<C>("/post_processor", {{"type", "RobertaProcessing"}}), HasSubstr("RobertaProcessing"));
  EXPECT_THAT(refusal<C>("/added_tokens/0/single_word", true), HasSubstr("single_word is not supported"));
}

TEST(TokenizerJson, Damaged) {
  EXPECT_THAT(message_of<Error>([] { parse_tokenizer_json("t.json", "{\"model\":", "c.json", "{}"); }),
              HasSubstr("t.json: damaged, or no JSON (9 bytes)"));
  EXPECT_THAT(message_of<Error>([] { parse_tokenizer_json("t.json", "[]", "c.json", "{}"); }),
              HasSubstr("t.json should be an object, but is array"));
  EXPECT_THAT(refusal<Error>("/model", json()), HasSubstr("tokenizer.json: model is missing"));
  EXPECT_THAT(refusal<Error>("/model/vocab/ab", "3"), HasSubstr("model.vocab.ab should be a whole number"));
  EXPECT_THAT(refusal<Error>("/model/vocab/ab", 1 << 30), HasSubstr("is outside [0, 1048576)"));
  EXPECT_THAT(refusal<Error>("/model/vocab/ab", ~std::uint64_t{0}), HasSubstr("is outside [0, 1048576)"));
  EXPECT_THAT(refusal<Error>("/model/vocab/ab", -1), HasSubstr("id -1"));
  EXPECT_THAT(refusal<Error>("/model/vocab/ab", 2), HasSubstr("id 2 is 'ab' and 'b'"));
  EXPECT_THAT(refusal<Error>("/model/merges/0", "a b c"), HasSubstr("model.merges.0 should be two pieces"));
  EXPECT_THAT(refusal<Error>("/model/merges/0", json::array({"a"})), HasSubstr("two pieces, but has 1"));
  EXPECT_THAT(refusal<Error>("/model/merges/0", "b a"), HasSubstr("has no piece 'ba'"));
  EXPECT_THAT(refusal<Error>("/model/unk_token", "<unk>"),
              HasSubstr("model.unk_token: the vocabulary has no"));
  EXPECT_THAT(refusal<Error>("/added_tokens/0/content", ""), HasSubstr("added_tokens.0.content is empty"));
  EXPECT_THAT(refusal<Error>("/added_tokens/0/content", "<s>"), HasSubstr("id 0 is '</s>' and '<s>'"));
}

// `tokenizers` numbers added tokens itself.
TEST(TokenizerJson, IdsOfAddedTokensAreThoseThatTheReferenceGives) {
  const auto added = [](int id, const char* content) {
    json file = small();
    file["added_tokens"].push_back({{"id", id}, {"content", content}});
    return file;
  };
  EXPECT_EQ(tokenizer_of(added(4, "<q>"))->encode("a<q>"), (std::vector<TokenId>{1, 4}));
  EXPECT_EQ(tokenizer_of(added(1, "a"))->encode("ab"), (std::vector<TokenId>{1, 2}));
  const auto refusal_of = [](const json& file) { return message_of<Error>([&] { tokenizer_of(file); }); };
  EXPECT_THAT(
      refusal_of(added(7, "a")),
      HasSubstr("added_tokens.1: the id of 'a' is 7, but tokenizers makes it 1, which it has already"));
  EXPECT_THAT(refusal_of(added(7, "<q>")), HasSubstr("is 7, but tokenizers makes it 4, the next one"));
  json twice = added(4, "<q>");
  twice["added_tokens"].push_back({{"id", 5}, {"content", "<q>"}});
  EXPECT_THAT(refusal_of(twice), HasSubstr("added_tokens.2: the id of '<q>' is 5"));
}

// As transformers 5.23 was seen to have it: its `added_tokens_decoder` wins over `added_tokens`, and adds.
TEST(TokenizerJson, AddedTokensOfTheConfiguration) {
  json file = small();
  file["model"]["vocab"]["c"] = 4;
  file["model"]["vocab"]["Ġ"] = 5;
  file["added_tokens"].push_back({{"id", 6}, {"content", "<q>"}, {"lstrip", true}, {"normalized", false}});
  const std::string names = R"({"eos_token": "</s>")";
  const auto tokenizer = [&](const std::string& added) {
    return tokenizer_of(file, names + (added.empty() ? "" : R"(, "added_tokens_decoder": )" + added) + "}");
  };
  EXPECT_EQ(tokenizer("")->encode("a <q>"), (std::vector<TokenId>{1, 6}));
  EXPECT_EQ(tokenizer(R"({"6": {"content": "<q>", "lstrip": false, "normalized": false}})")->encode("a <q>"),
            (std::vector<TokenId>{1, 5, 6}));
  const auto more = tokenizer(R"({"7": {"content": "<z>", "special": true}})");
  EXPECT_EQ(more->encode("a<z>", SpecialText::kToken), (std::vector<TokenId>{1, 7}));
  EXPECT_EQ(more->decode(std::vector<TokenId>{1, 7}), "a");
  EXPECT_THAT(
      message_of<Error>([&] { tokenizer(R"({"9": {"content": "<z>"}})"); }),
      HasSubstr("config.json: added_tokens_decoder.9: the id of '<z>' is 9, but tokenizers makes it 7"));
  EXPECT_THAT(message_of<Error>([&] { tokenizer(R"({"x": {"content": "<z>"}})"); }),
              HasSubstr("added_tokens_decoder.x: 'x' should be the id of a token"));
}

TEST(TokenizerJson, TokensThatTheConfigurationNamesAreSpecial) {
  const auto tokenizer = tokenizer_of(small(), R"({"eos_token": "</s>", "bos_token": {"content": "b"}})");
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{2, 1}), "a");
  EXPECT_EQ(tokenizer->encode("b"), (std::vector<TokenId>{2}));  // no special token in a text, but its piece
}

TEST(TokenizerJson, WhichTokenEndsAText) {
  EXPECT_THAT(message_of<ConfigError>([] { tokenizer_of(small(), ""); }), HasSubstr("tokenizer_config.json"));
  EXPECT_THAT(message_of<ConfigError>([] { tokenizer_of(small(), "{}"); }),
              HasSubstr("which token ends a text"));
  EXPECT_THAT(message_of<Error>([] { tokenizer_of(small(), R"({"eos_token": "<eos>"})"); }),
              AllOf(HasSubstr("config.json: eos_token"), HasSubstr("no piece '<eos>'")));
  EXPECT_THAT(message_of<Error>([] { tokenizer_of(small(), R"({"eos_token": 3})"); }),
              HasSubstr("eos_token should be an object"));
  json file = small();
  file["post_processor"] =
      json::parse(R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a"}},
    {"Sequence": {"id": "A"}}], "special_tokens": {"a": {"id": "a", "ids": [1], "tokens": ["a"]}}})");
  EXPECT_THAT(message_of<ConfigError>([&] { tokenizer_of(file); }), HasSubstr("puts id 1 in front of texts"));
  EXPECT_TRUE(tokenizer_of(file, R"({"eos_token": "</s>", "bos_token": "a"})")->adds_bos());
  // As in transformers 5, the post-processor alone says so.
  EXPECT_TRUE(
      tokenizer_of(file, R"({"eos_token": "</s>", "bos_token": "a", "add_bos_token": false})")->adds_bos());
  EXPECT_FALSE(
      tokenizer_of(small(), R"({"eos_token": "</s>", "bos_token": "a", "add_bos_token": true})")->adds_bos());
  const TempFolder folder;
  folder.write("special_tokens_map.json", R"({"eos_token": {"content": "b"}})");
  EXPECT_EQ(read_tokenizer_json(folder.write("tokenizer.json", small().dump())).eos, 2);
}

}  // namespace
}  // namespace trimtab
