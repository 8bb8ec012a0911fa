// SPDX-License-Identifier: Apache-2.0
#include "experiments/gguf_file.h"

#include "models/formats/gguf_bytes.h"

namespace trimtab {
namespace {

using test::error_of;
using test::Folder;
using test::GgufBytes;
using test::write_bytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string texts(const std::vector<std::string>& values) {
  std::string bytes = test::number<std::uint32_t>(test::kText) + test::number<std::uint64_t>(values.size());
  for (const std::string& value : values) bytes += test::gguf_text(value);
  return bytes;
}

TEST(GgufFile, ItsVocabularyIsReadKeyByKey) {
  const Folder folder;
  GgufBytes bytes;
  bytes.text("tokenizer.ggml.model", "gpt2")
      .text("tokenizer.ggml.pre", "smollm")
      .pair("tokenizer.ggml.tokens", test::kArray, texts({"a", "b", "ab"}))
      .pair("tokenizer.ggml.merges", test::kArray, texts({"a b"}))
      .integer("tokenizer.ggml.eos_token_id", 2);
  write_bytes(folder / "m.gguf", bytes.bytes());
  const GgufVocabulary vocabulary = vocabulary_of(Gguf(folder / "m.gguf"));
  EXPECT_EQ(vocabulary.path, folder / "m.gguf");
  EXPECT_EQ(vocabulary.pre, "smollm");
  EXPECT_THAT(vocabulary.tokens, ElementsAre("a", "b", "ab"));
  EXPECT_THAT(vocabulary.merges, ElementsAre("a b"));
  EXPECT_EQ(vocabulary.eos_token_id, 2);
  EXPECT_EQ(vocabulary.bos_token_id, std::nullopt);
  EXPECT_EQ(vocabulary.add_bos_token, std::nullopt);
  bytes.floats("x", {2}, {1, 2}).floats("y", {1}, {1});
  write_bytes(folder / "m.gguf", bytes.bytes());
  EXPECT_EQ(describe(Gguf(folder / "m.gguf")),
            "  GGUF of 2 tensors: 2 F32\n  vocabulary inside: gpt2 cut as smollm, 3 tokens\n");
  write_bytes(folder / "none.gguf", GgufBytes().floats("x", {2}, {1, 2}).bytes());
  EXPECT_THAT(describe(Gguf(folder / "none.gguf")), HasSubstr("vocabulary inside: none"));
  bytes.integer("tokenizer.ggml.add_bos_token", 1);
  write_bytes(folder / "m.gguf", bytes.bytes());
  EXPECT_THAT(error_of([&] { vocabulary_of(Gguf(folder / "m.gguf")); }), HasSubstr("add_bos_token"));
}

}  // namespace
}  // namespace trimtab
