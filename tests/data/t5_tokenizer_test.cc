// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/t5_tokenizer.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "data/text_file.h"
#include "data/tiny_vocabulary.h"
#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Ids = std::vector<TokenId>;

TEST(T5Tokenizer, SpecialIdsAndSentinelsFromTheTop) {
  const TinyTokenizer t;
  EXPECT_EQ(t->pad(), 0);
  EXPECT_EQ(t->eos(), 1);
  EXPECT_EQ(t->unk(), 2);
  EXPECT_EQ(t->size(), kTinyPieces + 100);
  EXPECT_EQ(t->sentinel(0), kTinyPieces + 99);
  EXPECT_EQ(t->sentinel(99), kTinyPieces);
  EXPECT_EQ(t->piece(kTinyPieces + 99), "<extra_id_0>");
  EXPECT_EQ(t->piece(kTinyPieces), "<extra_id_99>");
  EXPECT_EQ(t->piece(0), "<pad>");
  EXPECT_EQ(t->piece(1), "</s>");
  EXPECT_TRUE(t->is_sentinel(t->sentinel(42)));
  EXPECT_FALSE(t->is_sentinel(kTinyPieces - 1));
  EXPECT_THAT(message_of<Error>([&] { t->sentinel(100); }), HasSubstr("there is no <extra_id_100>"));
  EXPECT_THAT(message_of<Error>([&] { t->piece(t->size()); }),
              HasSubstr("id 220 is outside the vocabulary of 220"));
}

TEST(T5Tokenizer, EncodesTextAloneAndDecodesIt) {
  const TinyTokenizer t;
  const std::string text = "the small ship turns";
  Ids ids = t->encode(text);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), t->eos()), 0);
  EXPECT_EQ(t->decode(ids), text);
  ids.push_back(t->eos());
  ids.insert(ids.begin(), *t->pad());
  EXPECT_EQ(t->decode(ids), text);
  EXPECT_TRUE(t->encode("").empty());
  EXPECT_TRUE(t->encode("  ").empty());
  EXPECT_EQ(t->decode({}), "");
}

TEST(T5Tokenizer, LiteralSentinels) {
  const TinyTokenizer t;
  Ids wanted = t->encode("the ship");
  wanted.push_back(t->sentinel(3));
  const Ids rest = t->encode("waves");
  wanted.insert(wanted.end(), rest.begin(), rest.end());
  EXPECT_EQ(t->encode("the ship <extra_id_3> waves"), wanted);
  EXPECT_EQ(t->encode("the ship<extra_id_3>waves"), wanted);
  EXPECT_EQ(t->decode(wanted), "the ship <extra_id_3> waves");
  EXPECT_EQ(t->encode("<extra_id_0><extra_id_1>"), (Ids{t->sentinel(0), t->sentinel(1)}));
  EXPECT_EQ(t->encode("<extra_id_<extra_id_5>").back(), t->sentinel(5));
  for (const char* plain : {"<extra_id_100>", "<extra_id_03>", "<extra_id_-1>", "<extra_id_>", "<extra_id_1",
                            "<extra_id_99999999999999999999>"}) {
    const Ids ids = t->encode(plain);
    EXPECT_FALSE(std::any_of(ids.begin(), ids.end(), [&](TokenId id) { return t->is_sentinel(id); }))
        << plain;
  }
}

TEST(T5Tokenizer, IdsThatAreNoPieces) {
  const TinyTokenizer t;
  EXPECT_EQ(t->decode(Ids{t->size() + 5}), t->decode(Ids{*t->unk()}));
  EXPECT_THAT(message_of<Error>([&] { t->decode(Ids{-1}); }), HasSubstr("negative id -1"));
}

TEST(T5Tokenizer, ChecksTheEmbedding) {
  const TinyTokenizer t;
  t->check_fits(t->size());
  t->check_fits(t->size() + 28);
  EXPECT_THAT(message_of<ConfigError>([&] { t->check_fits(t->size() - 1); }),
              AllOf(HasSubstr("220 ids (120 pieces and 100 sentinels)"), HasSubstr("only 219 rows")));
}

TEST(T5Tokenizer, HashIsThatOfTheFile) {
  const TempFolder folder;
  const std::string path = train_tiny(folder);
  EXPECT_EQ(T5Tokenizer(path).hash(), sha256_file(path));
}

TEST(T5Tokenizer, MissingOrDamagedFile) {
  const TempFolder folder;
  EXPECT_THAT(message_of<Error>([&] { T5Tokenizer(folder.file("none.model")); }),
              AllOf(HasSubstr("none.model"), HasSubstr("No such file")));
  EXPECT_THAT(message_of<Error>([&] { T5Tokenizer(folder.write("empty.model", "")); }),
              HasSubstr("file is empty"));
  EXPECT_THAT(
      message_of<Error>([&] { T5Tokenizer(folder.write("text.model", "this is no model\n")); }),
      AllOf(HasSubstr("text.model"), HasSubstr("no SentencePiece model, or a damaged one (17 bytes")));
  const std::string bytes = read_bytes(train_tiny(folder));
  const std::string cut = folder.write("cut.model", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(message_of<Error>([&] { T5Tokenizer{cut}; }),
              HasSubstr("no SentencePiece model, or a damaged one"));
}

TEST(Vocabulary, SameTextGivesTheSameBytes) {
  const TempFolder folder;
  const std::string first = train_tiny(folder, "first.model"), second = train_tiny(folder, "second.model");
  EXPECT_EQ(read_bytes(first), read_bytes(second));
  EXPECT_FALSE(read_bytes(first).empty());
}

TEST(Vocabulary, ImpossibleRequests) {
  const TempFolder folder;
  VocabularyOptions options;
  options.out = folder.file("out.model");
  EXPECT_THAT(message_of<ConfigError>([&] { train_vocabulary(options); }), HasSubstr("no text files"));
  options.files = {folder.write("blank.txt", "\n \n")};
  EXPECT_THAT(message_of<Error>([&] { train_vocabulary(options); }),
              HasSubstr("no text to learn a vocabulary from"));
  options.files = {folder.write("short.txt", "the same few words\n")};
  options.size = 5000;
  EXPECT_THAT(message_of<Error>([&] { train_vocabulary(options); }),
              HasSubstr("no vocabulary of 5000 pieces"));
  EXPECT_FALSE(std::filesystem::exists(options.out));
  options.size = 3;
  EXPECT_THAT(message_of<ConfigError>([&] { train_vocabulary(options); }),
              HasSubstr("size should be 4 or more"));
}

TEST(Vocabulary, LongInputIsThinnedOut) {
  const TempFolder folder;
  VocabularyOptions options;
  options.files = {folder.write("all.txt", tiny_text())};
  options.size = 60;
  options.max_lines = 150;  // of 300: every second
  options.out = folder.file("thin.model");
  train_vocabulary(options);
  std::string half;
  std::size_t kept = 0;
  for_each_line(options.files[0], [&](std::string_view line, std::size_t) {
    if (!line.empty() && kept++ % 2 == 0) half += std::string(line) + "\n";
  });
  options.files = {folder.write("half.txt", half)};
  options.out = folder.file("half.model");
  train_vocabulary(options);
  EXPECT_EQ(read_bytes(folder.file("thin.model")), read_bytes(folder.file("half.model")));
}

}  // namespace
}  // namespace trimtab
