// SPDX-License-Identifier: Apache-2.0
//
// The SmolLM2-135M-Instruct file that launch/fetch-smollm2 fetches, tensor by tensor against what gguf-py
// decodes and transformers loads. Skipped where TRIMTAB_SMOLLM2_GGUF does not name it.
#include <cstdlib>
#include <map>

#include "models/file_checks.h"
#include "models/llama/llama_gguf.h"
#include "runtime/sha256.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

class SmolLM2 : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* const path = std::getenv("TRIMTAB_SMOLLM2_GGUF");
    if (path == nullptr)
      GTEST_SKIP() << "TRIMTAB_SMOLLM2_GGUF is not set: launch/fetch-smollm2 fetches the file";
    file = std::make_unique<Gguf>(path);
    std::ifstream lines(TRIMTAB_GOLDEN_DIR "/gguf/smollm2.sha256");
    for (std::string hash, name; lines >> hash >> name;) expected[name] = hash;
    ASSERT_EQ(expected.size(), 545U);
  }

  void expect_reference(const TensorSource& source) {
    ASSERT_EQ(source.names().size(), 272U);
    std::vector<float> values;
    for (const std::string& name : source.names()) {
      values.resize(static_cast<std::size_t>(element_count(source.info(name).shape)));
      source.read(name, {}, DType::kFloat32, values.data());
      EXPECT_EQ(sha256_hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}),
                expected[name])
          << name;
    }
  }

  std::unique_ptr<Gguf> file;
  std::map<std::string, std::string> expected;
};

TEST_F(SmolLM2, TensorsAreDecodedAsByTheReference) { expect_reference(*file); }

TEST_F(SmolLM2, WeightsAreThoseThatTransformersLoads) {
  expect_reference(*llama_gguf_weights(std::move(file)));
}

TEST_F(SmolLM2, ConfigIsThatOfTheModel) {
  const LlamaConfig config = read_llama_gguf_config(*file);
  EXPECT_EQ(config.layers, 30);
  EXPECT_EQ(config.d_model, 576);
  EXPECT_EQ(config.d_ff, 1536);
  EXPECT_EQ(config.heads, 9);
  EXPECT_EQ(config.kv_heads, 3);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.vocab, 49152);
  EXPECT_EQ(config.max_positions, 8192);
  EXPECT_EQ(config.rotary_base, 1e5);
  EXPECT_TRUE(config.tied_head);
  EXPECT_EQ(config.pad_id, 2);
  EXPECT_EQ(config.bos_id, 1);
  EXPECT_EQ(config.eos_id, 2);
  EXPECT_EQ(file->metadata().texts("tokenizer.ggml.tokens").size(), 49152U);
  EXPECT_EQ(file->metadata().texts("tokenizer.ggml.merges").size(), 48900U);
}

}  // namespace
}  // namespace trimtab
