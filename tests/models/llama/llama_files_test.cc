// SPDX-License-Identifier: Apache-2.0
//
// Configs of the Llama family, opening, importing and exporting; the folders of tests/golden are what
// transformers 5.23 writes.
#include "models/llama/llama_files.h"
#include "models/llama/llama_memory.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/file_checks.h"
#include "models/formats/gguf.h"
#include "models/formats/gguf_bytes.h"
#include "models/llama/llama_config_json.h"
#include "models/llama/llama_cost.h"
#include "models/llama/llama_model.h"
#include "runtime/shard.h"

namespace trimtab {
namespace {

using test::error_of;
using test::Folder;
using test::read_bytes;
using test::write_bytes;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const std::string kGolden = TRIMTAB_GOLDEN_DIR;
const char* const kCases[] = {"llama_tied", "llama_scaled", "llama_inner", "qwen2", "qwen3"};

// A config.json as version 4 of transformers wrote it.
Json smol() {
  return {{"model_type", "llama"},    {"vocab_size", 49152},
          {"hidden_size", 576},       {"intermediate_size", 1536},
          {"num_hidden_layers", 30},  {"num_attention_heads", 9},
          {"num_key_value_heads", 3}, {"max_position_embeddings", 8192},
          {"rms_norm_eps", 1e-5},     {"rope_theta", 100000},
          {"rope_scaling", nullptr},  {"tie_word_embeddings", true},
          {"bos_token_id", 1},        {"eos_token_id", 2},
          {"pad_token_id", 2}};
}

LlamaConfig read(const Json& json) { return llama_config_from_hf(json.dump(), "c.json"); }

std::string refusal(const Json& json) {
  return error_of<ConfigError>([&] { read(json); });
}

TEST(LlamaConfig, ReadsOldAndNewFields) {
  const LlamaConfig config = read(smol());
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.rotary_base, 100000.0);
  EXPECT_EQ(config.rotary_scaling.kind, "none");
  EXPECT_TRUE(config.tied_head);
  EXPECT_EQ(parameter_count(config), 134515008) << "SmolLM2-135M";

  Json old = smol();
  old["rope_scaling"] = {{"rope_type", "llama3"},
                         {"factor", 8.0},
                         {"low_freq_factor", 1.0},
                         {"high_freq_factor", 4.0},
                         {"original_max_position_embeddings", 4096}};
  Json newer = smol();
  newer.erase("rope_theta");
  newer["rope_parameters"] = old["rope_scaling"];
  newer["rope_parameters"]["rope_theta"] = 100000;
  EXPECT_EQ(read(old), read(newer));
  EXPECT_EQ(read(old).rotary_scaling.original_positions, 4096);
  Json linear = smol();
  linear["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  EXPECT_EQ(read(linear).rotary_scaling.kind, "linear");
}

TEST(LlamaConfig, RelativesDifferWhereTheyShould) {
  Json json = smol();
  json["model_type"] = "qwen2";
  json["use_sliding_window"] = false;
  json["sliding_window"] = 1024;
  EXPECT_TRUE(read(json).qkv_bias);
  EXPECT_EQ(read(json).max_positions, 8192) << "the window is not used";
  json["model_type"] = "qwen3";
  json["head_dim"] = 128;
  EXPECT_TRUE(read(json).qk_norm);
  EXPECT_EQ(read(json).inner(), 9 * 128);
  json["model_type"] = "mistral";
  json.erase("use_sliding_window");
  EXPECT_EQ(read(json).max_positions, 1024) << "beyond its window, attention would differ";
  json["eos_token_id"] = {7, 8};
  json["pad_token_id"] = nullptr;
  EXPECT_EQ(read(json).eos_id, 7);
  EXPECT_EQ(read(json).pad_id, 7);
}

// As transformers 5.23 reads them: defaults and flags are each type's own.
TEST(LlamaConfig, WindowsAreThoseOfTheType) {
  const auto positions = [](const std::string& type, const Json& changes) {
    Json json = smol();
    json["model_type"] = type;
    json["head_dim"] = 64;
    json.update(changes);
    return read(json).max_positions;
  };
  EXPECT_EQ(positions("mistral", Json::object()), 4096) << "what a Mistral has where nothing is said";
  EXPECT_EQ(positions("mistral", {{"sliding_window", nullptr}}), 8192) << "none";
  EXPECT_EQ(positions("mistral", {{"sliding_window", 512}, {"use_sliding_window", false}}), 512)
      << "the flag is Qwen's";
  for (const char* qwen : {"qwen2", "qwen3"}) {
    EXPECT_EQ(positions(qwen, {{"sliding_window", 512}}), 8192) << "off where nothing is said";
    EXPECT_EQ(positions(qwen, {{"sliding_window", 512}, {"use_sliding_window", true}}), 512);
    EXPECT_EQ(positions(qwen, {{"use_sliding_window", true}}), 4096);
  }
  EXPECT_EQ(positions("llama", {{"sliding_window", 512}}), 8192) << "a Llama has none";
}

TEST(LlamaConfig, OfTwoRotaryObjectsTheOlderCounts) {
  Json json = smol();
  json["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 77.0}};
  EXPECT_EQ(read(json).rotary_base, 77.0);
  EXPECT_EQ(read(json).rotary_scaling.factor, 4.0);
  json["rope_scaling"] = Json::object();
  EXPECT_EQ(read(json).rotary_base, 77.0) << "an empty one says nothing";
  json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 2.0}};
  EXPECT_EQ(read(json).rotary_base, 100000.0) << "the one beside it";
  EXPECT_EQ(read(json).rotary_scaling.factor, 2.0);
  json.erase("rope_theta");
  EXPECT_EQ(read(json).rotary_base, 10000.0);
}

TEST(LlamaConfig, TheEndOfATextMayBeLeftToTheVocabulary) {
  Json json = smol();
  json["pad_token_id"] = nullptr;
  for (const Json& nothing : {Json(nullptr), Json::array()}) {
    json["eos_token_id"] = nothing;
    EXPECT_EQ(read(json).eos_id, LlamaConfig().eos_id) << "until the vocabulary says another";
    EXPECT_EQ(read(json).pad_id, read(json).eos_id);
  }
}

TEST(LlamaConfig, WhatDoesNotRunIsRefusedByName) {
  const auto with = [](const char* key, const Json& value) {
    Json json = smol();
    json[key] = value;
    return refusal(json);
  };
  EXPECT_THAT(with("model_type", "gpt2"),
              AllOf(HasSubstr("c.json: model_type is 'gpt2'"), HasSubstr("qwen3")));
  EXPECT_THAT(with("hidden_act", "gelu"), HasSubstr("hidden_act is 'gelu'"));
  EXPECT_THAT(with("attention_bias", true), HasSubstr("attention_bias is true"));
  EXPECT_THAT(with("rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}),
              HasSubstr("'yarn' is not known"));
  EXPECT_THAT(with("rope_scaling", {{"rope_type", "llama3"}, {"factor", 4.0}}),
              HasSubstr("'rope_scaling.low_freq_factor' is missing"));
  EXPECT_THAT(with("num_key_value_heads", 2), HasSubstr("9 heads cannot share 2 heads"));
  EXPECT_THAT(with("head_dim", 7), HasSubstr("head_dim is 7, must be even"));
  EXPECT_THAT(with("eos_token_id", 50000), HasSubstr("must lie in the vocabulary of 49152"));
  EXPECT_THAT(with("vocab_size", "many"), HasSubstr("'vocab_size' must be a whole number"));
  EXPECT_THAT(with("intermediate_size", nullptr), HasSubstr("'intermediate_size' is missing"));
}

// A file of a few bytes can promise anything, and lists are made by what it promises.
TEST(LlamaConfig, SizesThatNoModelHasAreRefused) {
  const auto with = [](const char* key, std::int64_t value) {
    Json json = smol();
    json[key] = value;
    return refusal(json);
  };
  constexpr std::int64_t kMany = 1'000'000'000'000, kHuge = std::int64_t{1} << 62;
  EXPECT_THAT(with("num_hidden_layers", kMany),
              HasSubstr("c.json: Llama config: layers is 1000000000000; at most 10000 make sense"));
  EXPECT_THAT(with("head_dim", kHuge), HasSubstr("head_dim is 4611686018427387904; at most"));
  EXPECT_THAT(with("head_dim", 1 << 19), HasSubstr("heads * head_dim is 4718592; at most"));
  EXPECT_THAT(with("vocab_size", kMany), HasSubstr("vocab is"));
  EXPECT_THAT(with("intermediate_size", kMany), HasSubstr("d_ff is"));
  EXPECT_THAT(with("max_position_embeddings", kMany), HasSubstr("max_positions is"));
  EXPECT_THAT(with("num_key_value_heads", kMany), HasSubstr("kv_heads is"));
  LlamaConfig config = read(smol());
  config.d_model = config.heads = kHuge;
  EXPECT_THAT(error_of<ConfigError>([&] { check(config); }), HasSubstr("d_model is"));
}

TEST(LlamaConfig, RotaryFieldsThatWouldBeLeftOutAreRefused) {
  const auto with = [](const char* key, const Json& value) {
    Json json = smol();
    json[key] = value;
    return refusal(json);
  };
  EXPECT_THAT(with("rope_parameters", {{"full_attention", {{"rope_type", "yarn"}, {"factor", 4.0}}}}),
              HasSubstr("c.json: 'rope_parameters.full_attention' is not known"));
  EXPECT_THAT(with("rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}, {"factors", {1, 2}}}),
              AllOf(HasSubstr("'rope_scaling.factors' is not known"), HasSubstr("'factor'")));
  EXPECT_THAT(with("rope_scaling", {{"factor", 2.0}}), HasSubstr("'rope_scaling.rope_type' is missing"));
  EXPECT_THAT(with("partial_rotary_factor", 0.5), HasSubstr("partial_rotary_factor is 0.5"));
  EXPECT_THAT(with("rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}),
              HasSubstr("partial_rotary_factor is 0.5"));
  Json json = smol();
  json["partial_rotary_factor"] = 1.0;
  json["rope_parameters"] = {{"rope_type", "default"}, {"beta_fast", nullptr}};
  EXPECT_EQ(read(json), read(smol()));
}

TEST(LlamaConfig, OurOwnFormIsStrict) {
  const LlamaConfig config = read(smol());
  EXPECT_EQ(llama_config_from_json(llama_config_to_json(config), "x"), config);
  Json json = Json::parse(llama_config_to_json(config));
  json["kv_head"] = 3;
  EXPECT_THAT(error_of([&] { llama_config_from_json(json.dump(), "f"); }),
              AllOf(HasSubstr("f: 'kv_head' is not known"), HasSubstr("kv_heads")));
  json.erase("kv_head");
  json.erase("layers");
  EXPECT_THAT(error_of([&] { llama_config_from_json(json.dump(), "f"); }), HasSubstr("'layers' is missing"));
}

TEST(RotaryFrequencies, AreThoseOfTheReference) {
  LlamaConfig config;
  config.head_dim = 8;
  config.rotary_base = 10000.0;
  const std::vector<float> plain = rotary_frequencies(config);
  ASSERT_EQ(plain.size(), 4u);
  EXPECT_FLOAT_EQ(plain[0], 1.0f);
  EXPECT_FLOAT_EQ(plain[1], 0.1f);
  EXPECT_FLOAT_EQ(plain[3], 0.001f);
  config.rotary_scaling = {"linear", 4.0, 1, 4, 8192};
  EXPECT_FLOAT_EQ(rotary_frequencies(config)[1], 0.025f);
  // Over 256 positions the pairs turn 40.7, 4.07, 0.407 and 0.0407 times.
  config.rotary_scaling = {"llama3", 8.0, 0.1, 10.0, 256};
  const std::vector<float> scaled = rotary_frequencies(config);
  EXPECT_FLOAT_EQ(scaled[0], 1.0f) << "fast: as it is";
  EXPECT_FLOAT_EQ(scaled[3], 0.001f / 8) << "slow";
  const double turns = 256 * 0.1 / (2 * 3.14159265358979), keep = (turns - 0.1) / 9.9;
  EXPECT_NEAR(scaled[1], (1 - keep) * 0.1 / 8 + keep * 0.1, 1e-7) << "in between";
}

std::vector<float> values_of(const TensorSource& source, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(element_count(source.info(name).shape)));
  source.read(name, {}, DType::kFloat32, values.data());
  return values;
}

void expect_same_weights(const TensorSource& a, const TensorSource& b) {
  ASSERT_EQ(a.names(), b.names());
  for (const std::string& name : a.names()) EXPECT_EQ(values_of(a, name), values_of(b, name)) << name;
}

TEST(LlamaFiles, FamiliesAreFoundByWhatLiesThere) {
  const Folder folder;
  for (const char* name : kCases) {
    EXPECT_EQ(family_of(kGolden + "/" + name), "llama");
    EXPECT_EQ(open_model(kGolden + "/" + name)->text_form(), TextForm::kDecoderOnly);
  }
  EXPECT_EQ(family_of(kGolden + "/t5_10"), "t5");
  EXPECT_THAT(error_of<ConfigError>([&] { open_model(kGolden + "/t5_10", "lama"); }),
              AllOf(HasSubstr("unknown model family 'lama'"), HasSubstr("llama")));
  EXPECT_THAT(error_of<ConfigError>([&] { open_model(kGolden + "/t5_10", "llama"); }),
              HasSubstr("model_type is 't5'"));
  write_bytes(folder / "config.json", R"({"model_type": "bert"})");
  EXPECT_THAT(error_of<ConfigError>([&] { open_model(folder.path()); }),
              AllOf(HasSubstr("model_type is 'bert'"), HasSubstr("t5, llama, mistral, qwen2, qwen3")));
  EXPECT_THAT(error_of<ConfigError>([&] { open_model(folder / "none"); }),
              HasSubstr("no such file or folder"));
}

TEST(LlamaFiles, OneFileHoldsAllOfItAndComesBack) {
  const std::string tokenizer = std::string("{\"\0\xff", 4);
  for (const char* name : kCases) {
    const Folder folder;
    LlamaFiles files = open_llama(kGolden + "/" + name);
    files.tokenizer = {"", tokenizer, "tokenizer.json", "{\"eos_token\": \"</s>\"}"};
    save_llama(files, folder / "m.h5", DType::kFloat32);
    EXPECT_EQ(family_of(folder / "m.h5"), "llama");
    const LlamaFiles stored = open_llama(folder / "m.h5");
    EXPECT_EQ(stored.config, files.config);
    EXPECT_EQ(stored.tokenizer.bytes, tokenizer);
    EXPECT_EQ(stored.tokenizer.name, "tokenizer.json");
    EXPECT_EQ(stored.tokenizer.config, files.tokenizer.config);
    expect_same_weights(*stored.weights, *files.weights);
    export_llama_hf(stored, folder / "hf");
    const LlamaFiles again = open_llama(folder / "hf");
    EXPECT_EQ(again.config, files.config);
    EXPECT_EQ(again.tokenizer.path, folder / "hf/tokenizer.json");
    EXPECT_EQ(again.tokenizer.config, files.tokenizer.config) << "of tokenizer_config.json";
    expect_same_weights(*again.weights, *files.weights);
  }
}

TEST(LlamaFiles, WrongTensorsAreListed) {
  const Folder folder;
  std::filesystem::copy(kGolden + "/llama_tied", folder.path(), std::filesystem::copy_options::recursive);
  Json config = Json::parse(read_bytes(folder / "config.json"));
  std::filesystem::permissions(folder / "config.json", std::filesystem::perms::owner_all);
  config["num_hidden_layers"] = 5;
  config["intermediate_size"] = 40;
  write_bytes(folder / "config.json", config.dump());
  EXPECT_THAT(error_of([&] { open_llama(folder.path()); }),
              AllOf(HasSubstr("not those of the Llama"), HasSubstr("missing: model.layers.4.input_layernorm"),
                    HasSubstr("misshapen: model.layers.0.mlp.gate_proj.weight")));
}

TEST(LlamaCost, CountsByHand) {
  LlamaConfig config;
  config.vocab = 10;
  config.d_model = 4;
  config.head_dim = 2;
  config.heads = 6;
  config.kv_heads = 3;
  config.d_ff = 5;
  config.layers = 3;
  const auto units = llama_cost_units(config, {8, 3});
  ASSERT_EQ(units.size(), 3u);
  // 10 positions: 14 operations for half of the pairs and each inner column; 4 a weight and token.
  const double pairs = 14 * 10 * 10 * 12 / 2.0;
  const double qkv = 4 * 10 * 4 * (12 + 2 * 6), rest = 4 * (4 * 12 + 3 * 4 * 5);
  EXPECT_EQ(units[1].cost, pairs + qkv + 10 * rest);
  EXPECT_EQ(units[0].cost, units[1].cost + 10 * 4) << "with the embedding";
  EXPECT_EQ(units[2].cost, pairs + qkv + 3 * rest + 4 * 3 * 4 * 10) << "at 3 positions, with the head";
  EXPECT_THROW(llama_cost_units(config, {8, 0}), ConfigError);
}

TEST(LlamaMemory, RanksHoldTheirPart) {
  const LlamaConfig config = read(smol());
  const std::int64_t count = parameter_count(config) * 4, table = config.vocab * config.d_model * 4;
  MemoryPlan plan;
  const auto weights = [&](const UnitRange& layers) { return planned_bytes(config, layers, plan).weights; };
  EXPECT_EQ(weights({0, 30}), count);
  // A tied table is on the first and on the last stage.
  EXPECT_EQ(weights({0, 10}) + weights({10, 30}), count + table);
  // Norms are whole on every rank; of three heads of keys the first of two ranks holds two.
  const std::int64_t norms = (2 * 30 + 1) * config.d_model * 4;
  plan.tensor = 3;
  EXPECT_EQ(weights({0, 30}), (count - norms) / 3 + norms);
  plan.tensor = 2;
  const std::int64_t attention = 30 * 2 * config.d_model * (config.inner() + config.kv_inner()) * 4;
  EXPECT_EQ(weights({0, 30}), attention * 2 / 3 + (count - norms - attention) / 2 + norms);
}

// Counted by hand: of layers in the middle all positions go on, behind the last attention the scored ones.
TEST(LlamaMemory, KeepsWhatBackwardNeeds) {
  const LlamaConfig config = read(smol());
  MemoryPlan plan;
  plan.waiting = {2, 100, 8, 50};
  const std::int64_t tokens = 100 + 8 - 2, d = config.d_model, inner = config.inner();
  const std::int64_t attention = d + 2 * inner + 2 * config.kv_inner() + config.heads,
                     feed_forward = d + 2 * config.d_ff;
  EXPECT_EQ(planned_bytes(config, {3, 5}, plan).kept, 4 * 2 * tokens * (attention + feed_forward));
  EXPECT_EQ(planned_bytes(config, {29, 30}, plan).kept,
            4 * (tokens * attention + 8 * (feed_forward + d + config.vocab)));
  plan.tensor = 3;
  const std::int64_t shared = planned_bytes(config, {3, 5}, plan).kept;
  plan.sequence_parallel = true;  // norms keep what they got of a third of the tokens
  EXPECT_EQ(shared - planned_bytes(config, {3, 5}, plan).kept, 4 * 2 * tokens * 2 * (d - d / 3));
  plan.sequence_parallel = false;
  plan.tensor = 1;
  plan.at_work = {2, 100, 8, 50};
  plan.decoded = 8;
  EXPECT_EQ(planned_bytes(config, {3, 5}, plan).caches, 4 * 2 * 2 * config.kv_inner() * 2 * (50 + 8));
}

TEST(LlamaFiles, GgufIsAModelAsItIs) {
  for (const std::string name : {"llama", "qwen2", "qwen3"}) {
    const std::string path = kGolden + "/gguf/" + name + ".gguf";
    EXPECT_EQ(family_of(path), "llama") << name;
    const LlamaFiles files = open_llama(path);
    EXPECT_EQ(files.config.d_model, 32) << name;
    EXPECT_EQ(files.config.heads, 4) << name;
    EXPECT_EQ(files.config.kv_heads, 2) << name;
    EXPECT_EQ(files.config.qkv_bias, name == "qwen2");
    EXPECT_EQ(files.config.qk_norm, name == "qwen3");
    EXPECT_EQ(files.tokenizer.path, path) << "the vocabulary lies in the same file";
    for (const auto& [weight, shape] : llama_weights(files.config))
      EXPECT_EQ(files.weights->info(weight).shape, shape) << name << " " << weight;
    const Folder folder;
    save_llama(files, folder / "x.h5", DType::kFloat32);
    export_llama_hf(files, folder / "x");
    for (const std::string& copy : {folder / "x.h5", folder / "x"}) {
      const LlamaFiles copied = open_llama(copy);
      EXPECT_EQ(copied.config, files.config) << copy;
      EXPECT_EQ(copied.tokenizer.name, "tokenizer.gguf");
      EXPECT_EQ(copied.tokenizer.bytes, Gguf(path).without_tensors());
      expect_same_weights(*copied.weights, *files.weights);
    }
    const std::string vocabulary = folder / "x/tokenizer.gguf";
    EXPECT_TRUE(Gguf(vocabulary).names().empty());
  }
}

TEST(LlamaFiles, ScalingOfAGgufIsKept) {
  const Folder folder;
  LlamaFiles files = open_llama(kGolden + "/gguf/llama.gguf");
  files.config.rotary_scaling.kind = "divisors";
  files.config.rotary_scaling.divisors.assign(static_cast<std::size_t>(files.config.head_dim / 2), 1.5F);
  save_llama(files, folder / "x.h5", DType::kFloat32);
  EXPECT_EQ(open_llama(folder / "x.h5").config, files.config);
  EXPECT_THAT(error_of<ConfigError>([&] { export_llama_hf(files, folder / "x"); }),
              HasSubstr("cannot be written for Hugging Face"));
}

TEST(LlamaFiles, GgufOfTooManyLayersIsRefused) {
  const Folder folder;
  std::string bytes = read_bytes(kGolden + "/gguf/llama.gguf");
  const std::string key = "llama.block_count";
  const std::size_t value = bytes.find(key) + key.size() + sizeof(std::uint32_t);  // behind its type
  bytes.replace(value, 4, test::number<std::uint32_t>(2147483647));
  write_bytes(folder / "m.gguf", bytes);
  EXPECT_THAT(error_of<ConfigError>([&] { open_llama(folder / "m.gguf"); }),
              AllOf(HasSubstr(folder / "m.gguf"), HasSubstr("layers is 2147483647; at most 10000")));
}

// A GGUF file with one more number, and a text that keeps the alignment of what lies behind.
std::string with_real(std::string bytes, const std::string& key, float value) {
  const auto pairs = static_cast<char>(bytes.at(16) + 2);  // behind magic, version and count of tensors
  bytes[16] = pairs;
  const std::string real =
      test::gguf_text(key) + test::number<std::uint32_t>(test::kF32) + test::number(value);
  const std::string filler = test::gguf_text("f") + test::number<std::uint32_t>(test::kText);
  const std::size_t length = real.size() + filler.size() + sizeof(std::uint64_t);
  return bytes.insert(24, real + filler + test::gguf_text(std::string(32 - length % 32, ' ')));
}

TEST(LlamaFiles, ScalingFactorOfAGgufIsLinear) {
  const Folder folder;
  const std::string plain = read_bytes(kGolden + "/gguf/llama.gguf");
  for (const std::string key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    write_bytes(folder / "m.gguf", with_real(plain, key, 4));
    const RotaryScaling scaling = open_llama(folder / "m.gguf").config.rotary_scaling;
    EXPECT_EQ(scaling.kind, "linear") << key;
    EXPECT_EQ(scaling.factor, 4) << key;
  }
}

TEST(LlamaConfig, DivisorsSlowEachPairDown) {
  LlamaConfig plain;
  plain.head_dim = 4;
  LlamaConfig divided = plain;
  divided.rotary_scaling.kind = "divisors";
  divided.rotary_scaling.divisors = {1.0F, 8.0F};
  const std::vector<float> before = rotary_frequencies(plain), after = rotary_frequencies(divided);
  EXPECT_EQ(after, (std::vector<float>{before[0], before[1] / 8}));
  divided.rotary_scaling.divisors = {1.0F};
  EXPECT_THAT(error_of<ConfigError>([&] { check(divided); }), HasSubstr("1 rotary divisors"));
}

}  // namespace
}  // namespace trimtab
