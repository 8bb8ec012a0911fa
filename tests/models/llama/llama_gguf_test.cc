// SPDX-License-Identifier: Apache-2.0
//
// The models of tests/golden/gguf; beside each is what transformers 5.23 loads from it.
#include "models/llama/llama_gguf.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "models/formats/gguf_bytes.h"
#include "models/formats/safetensors.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

using test::error_of;
using test::Folder;
using test::GgufBytes;
using test::write_bytes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kGolden = TRIMTAB_GOLDEN_DIR "/gguf/";

std::vector<float> values_of(const TensorSource& source, const std::string& name, const Slab& slab = {}) {
  const Shape count = fitted(slab, source.info(name).shape, name).count;
  std::vector<float> values(static_cast<std::size_t>(element_count(count)));
  source.read(name, slab, DType::kFloat32, values.data());
  return values;
}

std::unique_ptr<TensorSource> weights_of(const std::string& path) {
  return llama_gguf_weights(std::make_unique<Gguf>(path));
}

TEST(LlamaGguf, WeightsAreThoseOfTheReference) {
  for (const std::string name : {"llama", "qwen2", "qwen3"}) {
    const auto weights = weights_of(kGolden + name + ".gguf");
    const Safetensors expected(kGolden + name + ".safetensors");
    ASSERT_EQ(weights->names(), expected.names()) << name;
    for (const std::string& weight : expected.names()) {
      EXPECT_EQ(weights->info(weight).shape, expected.info(weight).shape) << weight;
      EXPECT_EQ(values_of(*weights, weight), values_of(expected, weight)) << name << " " << weight;
    }
  }
}

TEST(LlamaGguf, SlabsOfReorderedRowsAreWhatIndexingGives) {
  const auto weights = weights_of(kGolden + "llama.gguf");
  const std::string name = "model.layers.1.self_attn.q_proj.weight";
  const auto all = values_of(*weights, name);
  ASSERT_EQ(weights->info(name).shape, (Shape{32, 32}));
  for (std::int64_t row = 0; row <= 32; ++row)
    for (std::int64_t rows = 0; rows <= 32 - row; ++rows) {
      const std::int64_t column = row % 5, columns = 32 - column - rows % 7;
      std::vector<float> expected;
      for (std::int64_t i = row; i < row + rows; ++i)
        expected.insert(expected.end(), all.begin() + i * 32 + column,
                        all.begin() + i * 32 + column + columns);
      ASSERT_EQ(values_of(*weights, name, {{row, column}, {rows, columns}}), expected) << row << " " << rows;
    }
  EXPECT_THAT(error_of([&] { values_of(*weights, name, {{30, 0}, {3, 32}}); }), HasSubstr("[3, 32]"));
}

TEST(LlamaGguf, ConfigIsThatOfTheFile) {
  const auto llama = read_llama_gguf_config(Gguf(kGolden + "llama.gguf"));
  EXPECT_EQ(llama.layers, 2);
  EXPECT_EQ(llama.d_model, 32);
  EXPECT_EQ(llama.d_ff, 32);
  EXPECT_EQ(llama.heads, 4);
  EXPECT_EQ(llama.kv_heads, 2);
  EXPECT_EQ(llama.head_dim, 8);
  EXPECT_EQ(llama.vocab, 40);
  EXPECT_EQ(llama.max_positions, 64);
  EXPECT_FLOAT_EQ(static_cast<float>(llama.norm_epsilon), 1e-5f);
  EXPECT_EQ(llama.rotary_base, 5e5);
  EXPECT_EQ(llama.rotary_scaling, RotaryScaling());
  EXPECT_TRUE(llama.tied_head);
  EXPECT_FALSE(llama.qkv_bias);
  EXPECT_FALSE(llama.qk_norm);
  const auto qwen2 = read_llama_gguf_config(Gguf(kGolden + "qwen2.gguf"));
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.qk_norm);
  const auto qwen3 = read_llama_gguf_config(Gguf(kGolden + "qwen3.gguf"));
  EXPECT_EQ(qwen3.head_dim, 16);
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_FALSE(qwen3.tied_head);
}

// A "llama" of one layer in memory: d_model 4, one head.
class TinyLlama : public ::testing::Test {
 protected:
  TinyLlama() {
    bytes.text("general.architecture", "llama");
    for (const auto& [key, value] : std::map<std::string, std::uint32_t>{{"block_count", 1},
                                                                         {"embedding_length", 4},
                                                                         {"feed_forward_length", 3},
                                                                         {"attention.head_count", 1},
                                                                         {"context_length", 16}})
      bytes.integer("llama." + key, value);
    bytes.real("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    bytes.floats("token_embd.weight", {4, 2}, std::vector<float>(8));
  }

  std::unique_ptr<TensorSource> open() {
    write_bytes(folder / "m.gguf", bytes.bytes());
    return weights_of(folder / "m.gguf");
  }
  LlamaConfig config() {
    write_bytes(folder / "m.gguf", bytes.bytes());
    return read_llama_gguf_config(Gguf(folder / "m.gguf"));
  }
  template <typename E = Error>
  std::string failure(const std::function<void(GgufBytes&)>& spoil) {
    const GgufBytes good = bytes;
    spoil(bytes);
    const std::string message = error_of<E>([&] { open(); });
    bytes = good;
    EXPECT_THAT(message, HasSubstr(folder / "m.gguf"));
    return message;
  }

  Folder folder;
  GgufBytes bytes;
};

TEST_F(TinyLlama, BiasesAreReorderedAsTheirRowsAre) {
  bytes.floats("blk.0.attn_q.bias", {4}, {0, 1, 2, 3}).floats("blk.0.attn_v.bias", {4}, {0, 1, 2, 3});
  const auto weights = open();
  EXPECT_THAT(values_of(*weights, "model.layers.0.self_attn.q_proj.bias"), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(values_of(*weights, "model.layers.0.self_attn.v_proj.bias"), ElementsAre(0, 1, 2, 3));
}

TEST_F(TinyLlama, DefaultsAreThoseOfTheFormat) {
  const LlamaConfig config = this->config();
  EXPECT_EQ(config.kv_heads, 1);
  EXPECT_EQ(config.head_dim, 4);
  EXPECT_EQ(config.rotary_base, 10000);
  EXPECT_EQ(config.pad_id, 0);
  EXPECT_EQ(config.bos_id, -1);
  EXPECT_EQ(config.eos_id, LlamaConfig().eos_id);
}

TEST_F(TinyLlama, RotaryScalingIsHandedOn) {
  const GgufBytes plain = bytes;
  bytes.text("llama.rope.scaling.type", "linear")
      .real("llama.rope.scaling.factor", 4)
      .real("llama.rope.scale_linear", 3)
      .integer("llama.rope.scaling.original_context_length", 8)
      .floats("rope_freqs.weight", {2}, {1, 8});
  EXPECT_EQ(config().rotary_scaling.kind, "divisors");
  EXPECT_THAT(config().rotary_scaling.divisors, ElementsAre(4, 32));
  EXPECT_THAT(open()->names(), ElementsAre("model.embed_tokens.weight"));
  bytes = plain;
  bytes.real("llama.rope.scaling.factor", 4);
  EXPECT_EQ(config().rotary_scaling.kind, "linear") << "without a type";
  EXPECT_EQ(config().rotary_scaling.factor, 4);
  bytes = plain;
  bytes.real("llama.rope.scale_linear", 3);
  EXPECT_EQ(config().rotary_scaling.factor, 3) << "as old files call it";
  bytes = plain;
  bytes.text("llama.rope.scaling.type", "none").real("llama.rope.scaling.factor", 4);
  EXPECT_EQ(config().rotary_scaling, RotaryScaling());
}

TEST_F(TinyLlama, PositionsEndWithTheWindow) {
  EXPECT_EQ(config().max_positions, 16);
  bytes.integer("llama.attention.sliding_window", 8);
  EXPECT_EQ(config().max_positions, 8);
}

TEST_F(TinyLlama, VariantsThatAreNotRunAreRefused) {
  EXPECT_THAT(failure<ConfigError>([](auto& b) { b.integer("llama.expert_count", 8); }),
              HasSubstr("a mixture of 8 experts is not run"));
  EXPECT_THAT(failure<ConfigError>([](auto& b) { b.integer("llama.rope.dimension_count", 2); }),
              HasSubstr("keys of 4, values of 4 and 2 rotated dims"));
  EXPECT_THAT(failure<ConfigError>([](auto& b) { b.integer("llama.attention.key_length", 3); }),
              HasSubstr("even"));
  const Folder other;
  write_bytes(other / "m", GgufBytes().text("general.architecture", "mamba").bytes());
  EXPECT_THAT(error_of<ConfigError>([&] { weights_of(other / "m"); }),
              HasSubstr("'mamba' are not run, only llama, qwen2 and qwen3"));
}

TEST_F(TinyLlama, NumbersThatWouldBeLeftOutAreRefused) {
  for (const std::string type : {"yarn", "longrope", "llama3"})
    EXPECT_THAT(failure<ConfigError>([&](auto& b) {
                  b.text("llama.rope.scaling.type", type).floats("rope_freqs.weight", {2}, {1, 8});
                }),
                AllOf(HasSubstr("scaled by '" + type + "'"), HasSubstr("'llama.rope.scaling.type'")));
  EXPECT_THAT(failure<ConfigError>([](auto& b) { b.pair("llama.attention.causal", test::kBool, {'\0'}); }),
              HasSubstr("'llama.attention.causal' is false"));
  for (const std::string name : {"attention.scale", "logit_scale", "residual_scale", "embedding_scale",
                                 "attention.clamp_kqv", "final_logit_softcapping"})
    EXPECT_THAT(failure<ConfigError>([&](auto& b) { b.real("llama." + name, 0.25F); }),
                HasSubstr("'llama." + name + "' is 0.25"));
  bytes.real("llama.attention.scale", 0.5F).real("llama.logit_scale", 1).real("llama.attention.clamp_kqv", 0);
  bytes.pair("llama.attention.causal", test::kBool, {'\1'});
  EXPECT_EQ(config().head_dim, 4) << "these are what models have without them";
}

TEST_F(TinyLlama, ContradictionsAreRefused) {
  EXPECT_THAT(failure([](auto& b) { b.integer("llama.attention.head_count_kv", 3); }),
              HasSubstr("1 query heads cannot share 3 key heads"));
  EXPECT_THAT(failure([](auto& b) { b.integer("llama.attention.head_count_kv", 0); }), HasSubstr("is 0"));
  EXPECT_THAT(failure([](auto& b) { b.real("llama.rope.freq_base", -1); }), HasSubstr("should be positive"));
  EXPECT_THAT(failure([](auto& b) { b.integer("tokenizer.ggml.eos_token_id", 2); }),
              HasSubstr("'tokenizer.ggml.eos_token_id' is 2, and the vocabulary has 2 tokens"));
  EXPECT_THAT(failure([](auto& b) { b.integer("llama.vocab_size", 3); }),
              AllOf(HasSubstr("'llama.vocab_size' is 3"), HasSubstr("has 2 rows")));
  EXPECT_THAT(failure([](auto& b) {
                b.floats("blk.0.attn_q.weight", {4, 2}, std::vector<float>(8));
              }),
              HasSubstr("'blk.0.attn_q.weight' is [2, 4], and should have 4 rows for 1 heads of 4"));
  EXPECT_THAT(failure([](auto& b) {
                b.floats("rope_freqs.weight", {3}, {1, 1, 1});
              }),
              HasSubstr("should be [2]"));
  EXPECT_THAT(failure([](auto& b) {
                b.floats("rope_freqs.weight", {2}, {1, 0});
              }),
              HasSubstr("should be positive"));
  EXPECT_THAT(failure([](auto& b) { b.pairs.erase(b.pairs.begin() + 1); }), HasSubstr("no metadata 'llama."));
}

TEST_F(TinyLlama, UnknownTensorsAreRefused) {
  for (const std::string name :
       {"blk.1.attn_q.weight", "blk.00.attn_q.weight", "blk.-1.attn_q.weight", "blk..weight", "blk.weight",
        "blk.0.weight", "blk.0", "blk.", "blk.0.attn_q.scale", "blk.0.ssm_a.weight", "x"})
    EXPECT_THAT(failure([&](auto& b) {
                  b.floats(name, {4}, {0, 0, 0, 0});
                }),
                HasSubstr("tensor '" + name + "' is none that a llama of 1 layers has"));
  EXPECT_THAT(error_of([&] { open()->info("model.embed_token.weight"); }),
              HasSubstr("'model.embed_tokens.weight'"));
}

}  // namespace
}  // namespace trimtab
