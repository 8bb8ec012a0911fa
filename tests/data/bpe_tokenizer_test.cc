// SPDX-License-Identifier: Apache-2.0
//
// Ids and texts of the reference for each way of cutting (tokenizers/make_tokenizers.py), and what no
// reference is needed for.
#include "data/tokenizers/bpe_tokenizer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "data/temp_folder.h"
#include "data/text_file.h"
#include "data/tokenizers/gguf_vocabulary.h"
#include "data/tokenizers/open_tokenizer.h"
#include "data/tokenizers/tokenizer_json.h"
#include "runtime/check.h"
#include "runtime/random.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

using Ids = std::vector<TokenId>;

std::string fixture(const std::string& path) { return std::string(TRIMTAB_TOKENIZERS_DIR) + "/" + path; }
nlohmann::json json_of(const std::string& path) { return nlohmann::json::parse(read_bytes(fixture(path))); }
std::unique_ptr<Tokenizer> opened(const std::string& name) {
  return open_tokenizer(fixture(name + "/tokenizer.json"));
}

class Reference : public ::testing::TestWithParam<const char*> {};

TEST_P(Reference, SameIdsAndText) {
  const std::string name = GetParam();
  const auto tokenizer = opened(name);
  const auto lines = json_of("lines.json").get<std::vector<std::string>>();
  const nlohmann::json expected = json_of(name + "/expected.json");
  ASSERT_EQ(lines.size(), expected["plain"].size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(tokenizer->encode(lines[i]), expected["plain"][i].get<Ids>()) << lines[i];
    EXPECT_EQ(tokenizer->encode(lines[i], SpecialText::kToken), expected["token"][i].get<Ids>()) << lines[i];
    EXPECT_EQ(tokenizer->decode(expected["plain"][i].get<Ids>()), expected["decoded"][i].get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Reference,
                         ::testing::Values("gpt2", "prefix", "smollm", "llama3", "qwen2", "removed", "llama2",
                                           "metaspace", "words"),
                         [](const auto& test) { return std::string(test.param); });

TEST(BpeTokenizer, KnowsItsSpecialTokens) {
  const auto smollm = opened("smollm");
  EXPECT_EQ(smollm->piece(smollm->eos()), "</s>");
  EXPECT_EQ(smollm->bos(), 1);
  EXPECT_EQ(smollm->pad(), 2);
  EXPECT_EQ(smollm->unk(), std::nullopt);
  EXPECT_FALSE(smollm->adds_bos());
  EXPECT_EQ(smollm->pieces(), smollm->size());
  EXPECT_TRUE(opened("llama3")->adds_bos());   // its post_processor says so
  EXPECT_FALSE(opened("llama2")->adds_bos());  // that only its tokenizer_config.json says so does not count
  EXPECT_EQ(opened("llama3")->unk(), 0);
  EXPECT_FALSE(opened("gpt2")->bos());
}

TEST(BpeTokenizer, TextCannotEndATurn) {
  const auto llama3 = opened("llama3");
  const TokenId end = llama3->encode("<|end|>", SpecialText::kToken).at(0);
  EXPECT_EQ(llama3->piece(end), "<|end|>");
  EXPECT_THAT(llama3->encode("<|end|>", SpecialText::kToken), ElementsAre(end));
  const Ids plain = llama3->encode("so <|end|>");
  EXPECT_EQ(std::ranges::count(plain, end), 0);
  EXPECT_EQ(llama3->decode(plain), "so <|end|>");
  EXPECT_EQ(llama3->decode(llama3->encode("so <|end|> it goes", SpecialText::kToken)), "so it goes");
  // A token that is added and not special is one in any text, and is printed.
  EXPECT_EQ(llama3->encode("<b>").size(), 1u);
  EXPECT_EQ(llama3->decode(llama3->encode("<b>x</b>")), "<b>x</b>");
}

TEST(BpeTokenizer, IdsOutside) {
  const auto gpt2 = opened("gpt2");
  Ids ids = gpt2->encode("prompt");
  ids.push_back(gpt2->size());  // a padding row of the embedding
  ids.push_back(gpt2->eos());
  EXPECT_EQ(gpt2->decode(ids), "prompt");
  EXPECT_THAT(message_of<Error>([&] { gpt2->decode(Ids{-1}); }), HasSubstr("negative id -1"));
  EXPECT_THAT(message_of<Error>([&] { gpt2->piece(gpt2->size()); }), HasSubstr("outside the vocabulary"));
  gpt2->check_fits(gpt2->size());
  EXPECT_THAT(
      message_of<ConfigError>([&] { gpt2->check_fits(1); }),
      EndsWith(fmt::format("has {} ids, but the embedding of the model has only 1 rows; use the vocabulary "
                           "that the model was trained with",
                           gpt2->size())));
}

TEST(BpeTokenizer, BytesThatAreNoUtf8) {
  const auto gpt2 = opened("gpt2");
  const std::string bad = "a\xE2\x96 b\xFF";
  EXPECT_EQ(gpt2->encode(bad), gpt2->encode("a\xEF\xBF\xBD b\xEF\xBF\xBD"));
  const Ids umlaut = gpt2->encode("\xC3\xA4");
  ASSERT_EQ(umlaut.size(), 2u);
  EXPECT_EQ(gpt2->decode(Ids{umlaut[0]}), "\xEF\xBF\xBD");
  EXPECT_EQ(gpt2->decode(umlaut), "\xC3\xA4");
}

// Any bytes, for each fixture: a text that is well-formed comes back where nothing is normalised or dropped.
TEST(BpeTokenizer, RandomBytesThereAndBack) {
  for (const char* name : {"gpt2", "smollm", "llama3", "llama2"}) {
    const auto tokenizer = opened(name);
    for (std::uint64_t number = 0; number < 300; ++number) {
      const RandomStream random(7, Purpose::kTest, number);
      std::string text;
      for (std::uint64_t i = 0; i < 1 + number % 50; ++i)
        text += number % 3 == 0 ? static_cast<char>(random.bounded(i, 256))
                                : " \xC3\xA4\xE2\x96\x81<s>|\xF0\x9F\x99\x82xy1"[random.bounded(i, 18)];
      const Ids ids = tokenizer->encode(text);
      for (const TokenId id : ids) ASSERT_LT(id, tokenizer->size());
      std::string back = replace_invalid_utf8(text);
      if (std::string(name) == "llama2")  // its mark of a blank is a blank to it
        for (std::size_t at; (at = back.find("\xE2\x96\x81")) != std::string::npos;) back.replace(at, 3, " ");
      EXPECT_EQ(tokenizer->decode(ids), back) << name;
    }
  }
}

// Quadratic time would be minutes.
TEST(BpeTokenizer, WordsOfAMegabyte) {
  const auto gpt2 = opened("gpt2");
  const auto llama2 = opened("llama2");
  const auto qwen2 = opened("qwen2");
  std::string mixed;
  while (mixed.size() < 1'000'000) mixed += "promptuning";
  for (const std::string& word :
       {std::string(1'000'000, 'e'), std::string(1'000'000, ' '), mixed, std::string(1'000'000, '='),
        std::string(1'000'000, '\n'), std::string(1'000'000, '<')}) {
    EXPECT_EQ(gpt2->decode(gpt2->encode(word)), word);
    EXPECT_EQ(llama2->decode(llama2->encode(word)), word);
    EXPECT_EQ(qwen2->decode(qwen2->encode(word)), word);
  }
}

// The same vocabulary as a GGUF file holds it.
GgufVocabulary gguf_of(const std::string& name, const std::string& pre) {
  const BpeVocabulary json = read_tokenizer_json(fixture(name + "/tokenizer.json"));
  GgufVocabulary gguf;
  gguf.path = "model.gguf";
  gguf.model = "gpt2";
  gguf.pre = pre;
  gguf.tokens = json.pieces;
  gguf.token_type.assign(json.pieces.size(), 1);
  for (const AddedToken& token : json.added)
    gguf.token_type[static_cast<std::size_t>(token.id)] = token.special ? 3 : 4;
  for (const auto& [left, right] : json.merges) gguf.merges.push_back(left + " " + right);
  gguf.eos_token_id = 2;
  return gguf;
}

TEST(GgufVocabulary, SameIdsAsItsTokenizerJson) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"gpt2", "gpt-2"}, {"smollm", "smollm"}, {"qwen2", "qwen2"}};
  const auto lines = json_of("lines.json").get<std::vector<std::string>>();
  for (const auto& [name, pre] : cases) {
    const auto json = opened(name);
    const BpeTokenizer gguf(bpe_vocabulary(gguf_of(name, pre)));
    EXPECT_EQ(gguf.eos(), 2);
    EXPECT_EQ(gguf.path(), "model.gguf");
    for (const std::string& line : lines)
      for (const SpecialText special : {SpecialText::kPlain, SpecialText::kToken})
        EXPECT_EQ(gguf.encode(line, special), json->encode(line, special)) << name << ": " << line;
  }
}

TEST(GgufVocabulary, TextsBeginWithBosWhereLlamaCppHasIt) {
  const auto adds = [](const std::string& name, const std::string& pre, std::optional<bool> said) {
    GgufVocabulary gguf = gguf_of(name, pre);
    gguf.bos_token_id = 1;
    gguf.add_bos_token = said;
    return BpeTokenizer(bpe_vocabulary(gguf)).adds_bos();
  };
  for (const std::string pre : {"llama3", "llama-v3", "llama-bpe"}) {
    EXPECT_TRUE(adds("llama3", pre, std::nullopt)) << pre;
    EXPECT_FALSE(adds("llama3", pre, false)) << pre;
  }
  EXPECT_FALSE(adds("gpt2", "gpt-2", std::nullopt));
  EXPECT_TRUE(adds("gpt2", "gpt-2", true));
}

TEST(GgufVocabulary, HashTellsVocabulariesApart) {
  const auto hash = [](const GgufVocabulary& gguf) { return BpeTokenizer(bpe_vocabulary(gguf)).hash(); };
  GgufVocabulary gguf = gguf_of("gpt2", "gpt-2");
  const std::string first = hash(gguf);
  EXPECT_EQ(first.size(), 64u);
  gguf.path = "elsewhere.gguf";
  EXPECT_EQ(hash(gguf), first);
  gguf.pre = "smollm";
  EXPECT_NE(hash(gguf), first);
  gguf.pre = "gpt-2";
  gguf.eos_token_id = 1;
  EXPECT_NE(hash(gguf), first);
  gguf.eos_token_id = 2;
  gguf.merges.pop_back();
  EXPECT_NE(hash(gguf), first);
}

TEST(GgufVocabulary, ImpossibleRequests) {
  const auto refusal = [](auto&& change) {
    GgufVocabulary gguf = gguf_of("gpt2", "gpt-2");
    change(gguf);
    return message_of<Error>([&] {
      try {
        BpeTokenizer(bpe_vocabulary(gguf));
      } catch (const Error& error) {
        throw Error(error.what());  // of either kind
      }
    });
  };
  EXPECT_THAT(refusal([](auto& g) { g.pre = "gpt2"; }), AllOf(HasSubstr("model.gguf"), HasSubstr("'gpt-2'")));
  EXPECT_THAT(refusal([](auto& g) { g.pre = ""; }), HasSubstr("tokenizer.ggml.pre"));
  EXPECT_THAT(refusal([](auto& g) { g.model = "bert"; }), HasSubstr("'bert', which is not supported"));
  EXPECT_THAT(refusal([](auto& g) { g.tokens.clear(); }), HasSubstr("tokens is missing or empty"));
  EXPECT_THAT(refusal([](auto& g) { g.merges.clear(); }), HasSubstr("merges is missing or empty"));
  EXPECT_THAT(refusal([](auto& g) { g.merges[3] = "ab"; }), HasSubstr("merge 3 should be two tokens"));
  EXPECT_THAT(refusal([](auto& g) { g.merges[3] = "a \xE2\x82\xAC"; }),
              HasSubstr("has no piece '\xE2\x82\xAC'"));
  EXPECT_THAT(refusal([](auto& g) { g.token_type.pop_back(); }), HasSubstr("entries for 420 tokens"));
  EXPECT_THAT(refusal([](auto& g) { g.token_type[5] = 7; }), HasSubstr("token 5 has the unknown type 7"));
  EXPECT_THAT(refusal([](auto& g) { g.bos_token_id = 420; }), HasSubstr("bos_token_id is 420"));
  EXPECT_THAT(refusal([](auto& g) { g.eos_token_id.reset(); }), HasSubstr("which token ends a text"));
  EXPECT_THAT(refusal([](auto& g) { g.model = "llama"; }), HasSubstr("scores is missing or empty"));
}

}  // namespace
}  // namespace trimtab
