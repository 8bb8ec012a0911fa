// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece BPE with byte fallback: libsentencepiece itself, and our own BPE over the pieces and scores
// that a GGUF file takes from the same model, have to agree.
#include "data/tokenizers/sentencepiece_tokenizer.h"

#include <gmock/gmock.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <nlohmann/json.hpp>

#include "data/temp_folder.h"
#include "data/text_file.h"
#include "data/text_recipe.h"
#include "data/tiny_vocabulary.h"
#include "data/tokenizers/bpe_tokenizer.h"
#include "data/tokenizers/gguf_vocabulary.h"
#include "data/tokenizers/open_tokenizer.h"
#include "runtime/check.h"
#include "runtime/random.h"
#include "runtime/utf8.h"

namespace trimtab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Ids = std::vector<TokenId>;

// As Llama 2's: bos 1, eos 2, no pad, bytes for what has no piece, text left as it is.
std::string train_bpe(const TempFolder& folder, const std::string& more = "") {
  const std::string text = folder.write("text.txt", tiny_text());
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      "--input=" + text + " --model_prefix=" + folder.file("tokenizer") +
      " --model_type=bpe --vocab_size=480 --byte_fallback=true --normalization_rule_name=identity"
      " --remove_extra_whitespaces=false --num_threads=1 --minloglevel=2 --split_digits=true" +
      more);
  if (!status.ok()) throw std::runtime_error(status.ToString());
  return folder.file("tokenizer.model");
}

// What a converter writes from the model.
GgufVocabulary gguf_of(const std::string& path) {
  sentencepiece::SentencePieceProcessor model;
  if (!model.Load(path).ok()) throw std::runtime_error(path);
  GgufVocabulary gguf;
  gguf.path = path;
  gguf.model = "llama";
  for (int id = 0; id < model.GetPieceSize(); ++id) {
    gguf.tokens.push_back(model.IdToPiece(id));
    gguf.scores.push_back(model.GetScore(id));
    gguf.token_type.push_back(model.IsUnknown(id)   ? 2
                              : model.IsControl(id) ? 3
                              : model.IsByte(id)    ? 6
                              : model.IsUnused(id)  ? 5
                                                    : 1);
  }
  gguf.unknown_token_id = model.unk_id();
  gguf.bos_token_id = model.bos_id();
  gguf.eos_token_id = model.eos_id();
  return gguf;
}

std::vector<std::string> texts() {
  auto all = nlohmann::json::parse(read_bytes(std::string(TRIMTAB_TOKENIZERS_DIR) + "/lines.json"))
                 .get<std::vector<std::string>>();
  for_each_line({"text", tiny_text()}, [&](std::string_view line, std::size_t) { all.emplace_back(line); });
  for (std::uint64_t number = 0; number < 500; ++number) {
    const RandomStream random(11, Purpose::kTest, number);
    std::string text;
    for (std::uint64_t i = 0; i < 1 + number % 40; ++i)
      text += "  aeehrsttuwn.\xC3\xA4\xE2\x96\x81\xF0\x9F\x99\x82"[random.bounded(i, 23)];
    all.push_back(replace_invalid_utf8(text));
  }
  return all;
}

TEST(SentencePieceBpe, OurMergesOfScoresAreThoseOfTheLibrary) {
  const TempFolder folder;
  const auto library = open_tokenizer(train_bpe(folder));
  const BpeTokenizer ours(bpe_vocabulary(gguf_of(folder.file("tokenizer.model"))));
  EXPECT_EQ(ours.size(), library->size());
  EXPECT_EQ(ours.eos(), library->eos());
  EXPECT_TRUE(ours.adds_bos());
  for (const std::string& text : texts()) {
    const Ids ids = library->encode(text);
    EXPECT_EQ(ours.encode(text), ids) << text;
    EXPECT_EQ(ours.decode(ids), library->decode(ids)) << text;
  }
}

TEST(SentencePieceBpe, WithoutByteFallbackUnknownCharactersAreOne) {
  const TempFolder folder;
  const auto library = open_tokenizer(train_bpe(folder, " --byte_fallback=false --vocab_size=220"));
  const BpeTokenizer ours(bpe_vocabulary(gguf_of(folder.file("tokenizer.model"))));
  for (const std::string& text : texts()) EXPECT_EQ(ours.encode(text), library->encode(text)) << text;
}

TEST(SentencePieceTokenizer, ControlPieces) {
  const TempFolder folder;
  const auto t = open_tokenizer(train_bpe(folder));
  EXPECT_NE(dynamic_cast<const SentencePieceTokenizer*>(t.get()), nullptr);
  EXPECT_EQ(t->bos(), 1);
  EXPECT_EQ(t->eos(), 2);
  EXPECT_EQ(t->pad(), std::nullopt);
  EXPECT_TRUE(t->adds_bos());
  EXPECT_EQ(t->piece(1), "<s>");
  EXPECT_THAT(t->encode("<s>", SpecialText::kToken), ElementsAre(1));
  EXPECT_GT(t->encode("<s>").size(), 1u);
  Ids wanted = t->encode("the ship");
  wanted.push_back(2);
  const Ids rest = t->encode("turns");
  wanted.insert(wanted.end(), rest.begin(), rest.end());
  EXPECT_EQ(t->encode("the ship</s>turns", SpecialText::kToken), wanted);
  EXPECT_EQ(t->decode(wanted), "the ship turns");
  EXPECT_EQ(t->decode(Ids{1, t->size() + 1}), "");
  EXPECT_EQ(t->encode("a\xE2\x96 b"), t->encode("a\xEF\xBF\xBD b"));
  EXPECT_THAT(message_of<Error>([&] { t->decode(Ids{-1}); }), HasSubstr("negative id -1"));
}

// Texts that go on: tokenizer.model and GGUF agree, and parts have the ids of the whole.
TEST(SentencePieceBpe, PartsOfOneText) {
  const TempFolder folder;
  for (const std::string more : {"", " --remove_extra_whitespaces=true"}) {
    const auto library = open_tokenizer(train_bpe(folder, more));
    const BpeTokenizer ours(bpe_vocabulary(gguf_of(folder.file("tokenizer.model"))));
    std::vector<const Tokenizer*> tokenizers = {library.get()};
    if (more.empty()) tokenizers.push_back(&ours);
    for (const Tokenizer* t : tokenizers) {
      RecipeCounts counts;
      const TextRecipe recipe(*t, {.text = "{input}{prompt} turns:", .max_input = 64, .one_text = true});
      Ids ids = recipe.encode_input("the small ship", counts);
      const Ids target = recipe.encode_words("quiet");
      ids.insert(ids.end(), target.begin(), target.end());
      EXPECT_EQ(ids, t->encode("the small ship turns: quiet"));
      EXPECT_EQ(target, t->encode("quiet"));
      const Ids rest = t->encode("all", SpecialText::kPlain, Behind::kText);
      EXPECT_EQ(t->piece(rest.at(0)).find("▁"), std::string::npos) << t->piece(rest.at(0));
      EXPECT_EQ(t->encode("all", SpecialText::kPlain, Behind::kToken), t->encode("all"));
      EXPECT_EQ(t->encode("</s>all", SpecialText::kToken, Behind::kText),
                t->encode("</s>all", SpecialText::kToken));
      EXPECT_EQ(t->behind({}), Behind::kNothing);
      EXPECT_EQ(t->behind(target), Behind::kText);
      EXPECT_EQ(t->behind(Ids{t->eos()}), Behind::kToken);
    }
    if (!more.empty()) continue;
    for (const std::string& text : texts())
      EXPECT_EQ(ours.encode(text, SpecialText::kPlain, Behind::kText),
                library->encode(text, SpecialText::kPlain, Behind::kText))
          << text;
  }
}

TEST(OpenTokenizer, DecidesByTheFile) {
  const TempFolder folder;
  const auto t5 = open_tokenizer(train_tiny(folder));
  EXPECT_NE(dynamic_cast<const T5Tokenizer*>(t5.get()), nullptr);
  EXPECT_THAT(message_of<Error>([&] { open_tokenizer(folder.file("tokenizer.json")); }),
              HasSubstr("No such file"));
  EXPECT_THAT(message_of<Error>([&] { open_tokenizer(folder.write("vocab.txt", "a\nb\n")); }),
              HasSubstr("no SentencePiece model"));
  EXPECT_THAT(message_of<ConfigError>([&] { open_tokenizer(train_bpe(folder, " --eos_id=-1")); }),
              HasSubstr("no eos piece"));
}

}  // namespace
}  // namespace trimtab
