// SPDX-License-Identifier: Apache-2.0
//
// What PEFT's adapters mean here, on bases of a few numbers. tests/peft compares with PEFT itself.
#include <cmath>

#include "models/file_checks.h"
#include "models/formats/npy.h"
#include "models/formats/peft_methods.h"

namespace trimtab {
namespace {

using nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two layers of width 4: an encoder-decoder whose only named maps are those that tests need, or a decoder.
PeftBase t5() {
  PeftBase base{
      {.width = 4, .heads = 2, .kv_heads = 2, .head_dim = 2, .encoder_layers = 2, .decoder_layers = 2},
      {{"shared.weight", {9, 4}}}};
  for (int i = 0; i < 2; ++i) {
    base.weights.push_back({fmt::format("encoder.block.{}.layer.0.SelfAttention.q.weight", i), {4, 4}});
    base.weights.push_back({fmt::format("encoder.block.{}.layer.1.DenseReluDense.wo.weight", i), {4, 6}});
  }
  return base;
}
PeftBase llama() {
  return {{.width = 4,
           .heads = 2,
           .kv_heads = 1,
           .head_dim = 2,
           .decoder_layers = 2,
           .rotary_frequencies = {1.0F}},
          {{"model.layers.0.self_attn.q_proj.weight", {4, 4}}}};
}

std::vector<float> counted(std::size_t count) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(i);
  return out;
}

PeftAdapter prompt(std::int64_t rows, std::int64_t tokens,
                   const ordered_json& more = ordered_json::object()) {
  PeftAdapter out{
      "adapter",
      {{"peft_type", "PROMPT_TUNING"}, {"task_type", "SEQ_2_SEQ_LM"}, {"num_virtual_tokens", tokens}},
      {{"prompt_embeddings", {rows, 4}, counted(static_cast<std::size_t>(rows * 4))}},
      {}};
  out.config.update(more);
  return out;
}

std::string refusal(const PeftAdapter& adapter, const PeftBase& base) {
  return test::error_of<ConfigError>([&] { from_peft(adapter, base); });
}

TEST(Peft, OfTwiceTheRowsTheFirstHalfIsThePrompt) {
  const TranslatedAdapter out = from_peft(prompt(6, 3), t5());
  EXPECT_EQ(out.trained.method, "prompt_tuning");
  EXPECT_EQ(out.trained.tensors[0].name, "prompt");
  EXPECT_EQ(out.trained.tensors[0].values, counted(12));
  EXPECT_THAT(out.notes, ElementsAre(HasSubstr("of its 6 rows the first 3 are used")));
  const TranslatedAdapter once = from_peft(prompt(3, 3, {{"num_transformer_submodules", 1}}), t5());
  EXPECT_EQ(once.trained.tensors[0].values, counted(12));
  EXPECT_TRUE(once.notes.empty());
}

TEST(Peft, PromptsThatDoNotFitAreRefused) {
  EXPECT_THAT(refusal(prompt(3, 3), t5()),
              HasSubstr("'prompt_embeddings' has 3 rows, but adapter_config.json says 3 x 2"));
  EXPECT_THAT(refusal(prompt(5, 3), t5()), HasSubstr("has 5 rows"));
  EXPECT_THAT(refusal(prompt(0, 0), t5()), HasSubstr("num_virtual_tokens is 0, but should be 1 or more"));
  PeftBase wide = t5();
  wide.attention.width = 8;
  EXPECT_THAT(refusal(prompt(6, 3), wide), HasSubstr("wants [6, 8]"));
  EXPECT_THAT(refusal(prompt(3, 3), llama()),
              HasSubstr("task_type is SEQ_2_SEQ_LM, but this model is used as CAUSAL_LM"));
  EXPECT_THAT(refusal(prompt(6, 3, {{"peft_type", "LOHA"}}), t5()),
              AllOf(HasSubstr("LOHA"), HasSubstr("LORA")));
}

TEST(Peft, AnExportedPromptStoresItsRowsOnce) {
  const TrainedAdapter trained{"p_tuning", {{"prompt", {3, 4}, counted(12)}}};
  const PeftAdapter out = to_peft(trained, t5());
  EXPECT_EQ(out.config["peft_type"], "PROMPT_TUNING");
  EXPECT_EQ(out.config["num_transformer_submodules"], 1);
  EXPECT_EQ(out.config["num_virtual_tokens"], 3);
  EXPECT_THAT(out.tensors[0].shape, ElementsAre(3, 4));
  EXPECT_THAT(test::error_of<ConfigError>([] {
                to_peft({"model_tuning", {}}, t5());
              }),
              HasSubstr("PEFT has no"));
}

TEST(Peft, LoraNamesScalesAndGaps) {
  PeftAdapter adapter{
      "adapter",
      {{"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 3}, {"use_rslora", true}},
      {{"base_model.model.encoder.block.1.layer.0.SelfAttention.q.lora_A.weight", {4, 4}, counted(16)},
       {"base_model.model.encoder.block.1.layer.0.SelfAttention.q.lora_B.weight", {4, 4}, counted(16)}},
      {}};
  const TranslatedAdapter out = from_peft(adapter, t5());
  EXPECT_EQ(out.trained.lora_alpha, 6.0);  // 3 * sqrt(4)
  ASSERT_EQ(out.trained.tensors.size(), 2U);
  EXPECT_EQ(out.trained.tensors[0].name, "encoder.block.1.layer.0.SelfAttention.q.lora_A");
  EXPECT_EQ(out.trained.tensors[1].values, counted(16));
  // Another module is called q as well, so this one is named in full.
  EXPECT_THAT(out.trained.targets, ElementsAre("encoder.block.1.layer.0.SelfAttention.q"));

  adapter.config["use_dora"] = true;
  EXPECT_THAT(refusal(adapter, t5()), HasSubstr("'use_dora' is true"));
  adapter.config["use_dora"] = false;
  adapter.config["rank_pattern"] = {{"q", 2}};
  EXPECT_THAT(refusal(adapter, t5()), HasSubstr("'rank_pattern'"));
  adapter.config["rank_pattern"] = ordered_json::object();
  for (const char* changes_base : {"pissa", "pissa_niter_16", "olora", "loftq", "corda", "lora_ga", "new"}) {
    adapter.config["init_lora_weights"] = changes_base;
    EXPECT_THAT(refusal(adapter, t5()), AllOf(HasSubstr("'init_lora_weights'"), HasSubstr(changes_base),
                                              HasSubstr("path_initial_model_for_weight_conversion")));
  }
  for (const ordered_json& keeps : {ordered_json(true), ordered_json(false), ordered_json("gaussian"),
                                    ordered_json("eva"), ordered_json("orthogonal"), ordered_json("mica")}) {
    adapter.config["init_lora_weights"] = keeps;
    EXPECT_EQ(from_peft(adapter, t5()).trained.tensors.size(), 2U) << keeps;
  }
  adapter.tensors[0].name = "base_model.model.encoder.block.1.layer.0.SelfAttention.p.lora_A.weight";
  EXPECT_THAT(refusal(adapter, t5()), AllOf(HasSubstr("SelfAttention.p"), HasSubstr("did you mean")));
  adapter.tensors.erase(adapter.tensors.begin());
  EXPECT_THAT(refusal(adapter, t5()), HasSubstr("both lora_A and lora_B"));
}

TEST(Peft, SomeModulesOfANameAreNamedInFull) {
  const std::string q = "encoder.block.1.layer.0.SelfAttention.q";
  const TrainedAdapter trained{
      "lora", {{q + ".lora_A", {2, 4}, counted(8)}, {q + ".lora_B", {4, 2}, counted(8)}}, 5.0};
  const PeftAdapter out = to_peft(trained, t5());
  EXPECT_THAT(out.config["target_modules"], ElementsAre(q));
  EXPECT_EQ(out.config["lora_alpha"], 5);
  EXPECT_EQ(out.tensors[0].name, "base_model.model." + q + ".lora_A.weight");
}

TEST(Peft, Ia3ScalesInputsOrOutputs) {
  const std::string wo = "encoder.block.0.layer.1.DenseReluDense.wo",
                    q = "encoder.block.0.layer.0.SelfAttention.q";
  TrainedAdapter trained{"ia3", {{q + ".ia3", {4}, counted(4)}, {wo + ".ia3", {6}, counted(6)}}};
  trained.feed_forward = {"wo"};
  const PeftAdapter out = to_peft(trained, t5());
  EXPECT_THAT(out.tensors[0].shape, ElementsAre(4, 1));
  EXPECT_THAT(out.tensors[1].shape, ElementsAre(1, 6));
  EXPECT_THAT(out.config["feedforward_modules"], ElementsAre(wo));
  PeftAdapter back = out;
  back.path = "adapter";
  const TrainedAdapter read = from_peft(back, t5()).trained;
  EXPECT_THAT(read.targets, ElementsAre(q));
  EXPECT_THAT(read.feed_forward, ElementsAre(wo));
  EXPECT_THAT(read.tensors[1].shape, ElementsAre(6));
  back.tensors[1].shape = {6, 1};
  EXPECT_THAT(refusal(back, t5()), HasSubstr("is [6, 1], but this model wants [4, 1]"));
  trained.feed_forward = {};
  EXPECT_THAT(test::error_of<ConfigError>([&] { to_peft(trained, t5()); }),
              HasSubstr("'" + wo + ".ia3' is [6], but this model wants [4]"));
}

PeftAdapter prefix(const PeftBase& base, std::int64_t layers) {
  const std::int64_t width = base.attention.kv_heads * base.attention.head_dim;
  return {
      "adapter",
      {{"peft_type", "PREFIX_TUNING"},
       {"num_virtual_tokens", 1},
       {"num_layers", layers},
       {"num_attention_heads", base.attention.kv_heads},
       {"token_dim", width}},
      {{"prompt_embeddings", {1, 2 * layers * width}, counted(static_cast<std::size_t>(2 * layers * width))}},
      {}};
}

// PEFT gives layer i the entries 4 i and 4 i + 1 of an encoder-decoder, counted around: both layers the same.
TEST(Peft, PrefixesOfAnEncoderDecoderAreWhatPeftReads) {
  const TranslatedAdapter out = from_peft(prefix(t5(), 2), t5());
  ASSERT_EQ(out.trained.tensors.size(), 4U);
  EXPECT_EQ(out.trained.tensors[0].name, "decoder.block.0.layer.0.SelfAttention.prefix_k");
  for (const std::size_t layer : {0U, 2U}) {
    EXPECT_THAT(out.trained.tensors[layer].values, ElementsAre(0, 1, 2, 3));
    EXPECT_THAT(out.trained.tensors[layer + 1].values, ElementsAre(4, 5, 6, 7));
  }
  EXPECT_THAT(out.notes, ElementsAre(HasSubstr("only the decoder's self-attention"),
                                     HasSubstr("2 decoder layers share 1")));
  // Exported, each layer has its own again.
  const PeftAdapter back = to_peft(out.trained, t5());
  EXPECT_EQ(back.config["num_layers"], 4);
  EXPECT_THAT(back.tensors[0].shape, ElementsAre(1, 32));
  EXPECT_EQ(back.tensors[0].values[16], 0.0F);
  EXPECT_EQ(back.tensors[0].values[19], 3.0F);
}

TEST(Peft, KeysOfADecoderAreTurnedBack) {
  PeftAdapter adapter = prefix(llama(), 2);
  adapter.config["num_virtual_tokens"] = 2;
  adapter.tensors[0].shape = {2, 8};
  adapter.tensors[0].values = counted(16);
  const TranslatedAdapter out = from_peft(adapter, llama());
  const NamedArray& keys = out.trained.tensors[0];
  EXPECT_EQ(keys.name, "model.layers.0.self_attn.prefix_k");
  EXPECT_THAT(std::vector<float>(keys.values.begin(), keys.values.begin() + 2), ElementsAre(0, 1));
  // Position 1 is turned by one radian: [8, 9] lies that much further than it was.
  EXPECT_NEAR(keys.values[2], 8 * std::cos(1.0) + 9 * std::sin(1.0), 1e-5);
  EXPECT_NEAR(keys.values[3], 9 * std::cos(1.0) - 8 * std::sin(1.0), 1e-5);
  const PeftAdapter back = to_peft(out.trained, llama());
  for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(back.tensors[0].values[i], static_cast<float>(i), 1e-5);
}

TEST(Peft, PrefixesThatDoNotFitAreRefused) {
  PeftAdapter adapter = prefix(t5(), 2);
  adapter.config["num_transformer_submodules"] = 1;
  EXPECT_THAT(refusal(adapter, t5()), HasSubstr("num_transformer_submodules is 1"));
  EXPECT_THAT(refusal(prefix(t5(), 1), t5()), HasSubstr("is for 1 layers, but this model's decoder has 2"));
  adapter = prefix(t5(), 2);
  adapter.config["num_attention_heads"] = 1;
  EXPECT_THAT(refusal(adapter, t5()), HasSubstr("1 heads of 4 columns, but this model's are 2 of 2"));
  PeftBase interleaved = llama();
  interleaved.attention.rotary_interleaved = true;
  EXPECT_THAT(refusal(prefix(llama(), 2), interleaved), HasSubstr("GGUF"));
  TrainedAdapter trained = from_peft(prefix(t5(), 2), t5()).trained;
  trained.tensors.push_back({"encoder.block.0.layer.0.SelfAttention.prefix_k", {1, 4}, counted(4)});
  EXPECT_THAT(test::error_of<ConfigError>([&] { to_peft(trained, t5()); }),
              HasSubstr("reaches only the decoder's self-attention"));
}

TEST(PeftFiles, FoldersAndPromptsOfEachKind) {
  const test::Folder folder;
  const TrainedAdapter trained{"prompt_tuning", {{"prompt", {3, 4}, counted(12)}}};
  PeftAdapter adapter = to_peft(trained, t5());
  adapter.metadata = {{"a", "b"}};
  write_peft_adapter(adapter, folder / "adapter");
  const PeftAdapter read = read_peft_adapter(folder / "adapter");
  EXPECT_EQ(read.config, adapter.config);
  EXPECT_EQ(read.metadata, adapter.metadata);
  EXPECT_EQ(read.tensors[0].values, counted(12));
  EXPECT_TRUE(is_peft_adapter(folder / "adapter"));
  EXPECT_TRUE(is_peft_adapter(folder / "adapter/adapter_model.safetensors"));
  EXPECT_FALSE(is_peft_adapter(folder.path()));
  write_npy(folder / "prompt.npy", {3, 4}, counted(12));
  for (const char* name : {"adapter", "adapter/adapter_model.safetensors", "prompt.npy"}) {
    const NamedArray rows = read_prompt_rows(folder / name);
    EXPECT_THAT(rows.shape, ElementsAre(3, 4)) << name;
    EXPECT_EQ(rows.values, counted(12)) << name;
  }
  adapter.config["num_virtual_tokens"] = 2;
  write_peft_adapter(adapter, folder / "adapter");
  EXPECT_THAT(test::error_of([&] { read_prompt_rows(folder / "adapter"); }),
              HasSubstr("num_virtual_tokens is 2"));
  adapter.config["peft_type"] = "LORA";
  write_peft_adapter(adapter, folder / "adapter");
  EXPECT_THAT(test::error_of<ConfigError>([&] { read_prompt_rows(folder / "adapter"); }),
              HasSubstr("is an adapter of the method LORA"));
  std::filesystem::rename(folder / "adapter/adapter_model.safetensors", folder / "adapter/adapter_model.bin");
  EXPECT_THAT(test::error_of([&] { read_peft_adapter(folder / "adapter"); }), HasSubstr("save_pretrained"));
  EXPECT_THAT(test::error_of<ConfigError>([&] { read_prompt_rows(folder / "nothing"); }),
              HasSubstr("no such file"));
}

}  // namespace
}  // namespace trimtab
