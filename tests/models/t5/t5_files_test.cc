// SPDX-License-Identifier: Apache-2.0
//
// Opening, importing and exporting whole models; the folders of tests/golden are what transformers 5.23
// writes.
#include "models/t5/t5_files.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "models/file_checks.h"
#include "models/formats/safetensors.h"
#include "models/t5/t5_config_json.h"
#include "runtime/shard.h"
#include "runtime/tensor_store.h"

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
const char* const kCases[] = {"t5_10", "t5_11", "t5_inner", "t5_depth"};

std::vector<float> values_of(const TensorSource& source, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(element_count(source.info(name).shape)));
  source.read(name, {}, DType::kFloat32, values.data());
  return values;
}

void expect_same_weights(const TensorSource& a, const TensorSource& b) {
  ASSERT_EQ(a.names(), b.names());
  for (const std::string& name : a.names()) {
    EXPECT_EQ(a.info(name).shape, b.info(name).shape) << name;
    EXPECT_EQ(values_of(a, name), values_of(b, name)) << name;
  }
}

// A model folder in memory, to be changed and written.
struct Model {
  struct Tensor {
    Shape shape;
    std::vector<float> values;
  };
  Json config;
  std::map<std::string, Tensor> tensors;

  explicit Model(const std::string& name)
      : config(Json::parse(read_bytes(kGolden + "/" + name + "/config.json"))) {
    const Safetensors file(kGolden + "/" + name);
    for (const std::string& tensor : file.names())
      tensors[tensor] = {file.info(tensor).shape, values_of(file, tensor)};
  }

  void write(const Folder& folder) const {
    write_bytes(folder / "config.json", config.dump());
    std::vector<SafetensorsWriter::Tensor> list;
    for (const auto& [name, tensor] : tensors) list.push_back({name, {DType::kFloat32, tensor.shape}});
    SafetensorsWriter writer(folder / "model.safetensors", list);
    for (const auto& [name, tensor] : tensors) writer.append(tensor.values.data(), tensor.values.size() * 4);
    writer.commit();
  }
  T5Files open() const {
    const Folder folder;
    write(folder);
    return open_t5(folder.path());  // the map outlives the name of the file
  }
  template <typename E = Error>
  std::string failure() const {
    return error_of<E>([&] { open(); });
  }
};

TEST(OpenT5, GoldenFoldersAreWhatTheirNamesSay) {
  T5Config expected;
  expected.vocab = 120;
  expected.d_model = 32;
  expected.d_kv = 8;
  expected.d_ff = 48;
  expected.heads = 4;
  expected.encoder_layers = expected.decoder_layers = 2;
  expected.dropout = 0.0;
  EXPECT_EQ(open_t5(kGolden + "/t5_11").config, expected);
  T5Config old = expected;
  old.gated_gelu = false;
  old.tied_head = old.scale_decoder_output = true;
  EXPECT_EQ(open_t5(kGolden + "/t5_10").config, old);
  T5Config inner = expected;
  inner.heads = 6;
  inner.d_ff = 40;
  EXPECT_EQ(open_t5(kGolden + "/t5_inner").config, inner);
  T5Config depth = expected;
  depth.encoder_layers = 3;
  depth.vocab = 122;
  depth.buckets = 8;
  depth.max_distance = 20;
  EXPECT_EQ(open_t5(kGolden + "/t5_depth").config, depth);
}

TEST(OpenT5, WeightsAreExactlyThoseOfTheConfig) {
  for (const char* name : kCases) {
    const T5Files files = open_t5(kGolden + "/" + name);
    std::vector<std::string> expected;
    for (const WeightShape& weight : t5_weights(files.config)) expected.push_back(weight.name);
    std::ranges::sort(expected);
    EXPECT_EQ(files.weights->names(), expected);
    EXPECT_EQ(files.tokenizer_path, "");
  }
}

TEST(OpenT5, HeadAndScaleOfOldVersions) {
  Model tied("t5_10");  // 4.x, T5 1.0: no scale_decoder_outputs, often no tie_word_embeddings either
  tied.config.erase("scale_decoder_outputs");
  EXPECT_TRUE(tied.open().config.scale_decoder_output);
  tied.config.erase("tie_word_embeddings");
  tied.config.erase("feed_forward_proj");
  tied.config.erase("num_decoder_layers");
  tied.config.erase("relative_attention_max_distance");
  EXPECT_EQ(tied.open().config, open_t5(kGolden + "/t5_10").config);

  Model untied("t5_11");  // 4.x, T5 1.1
  untied.config.erase("scale_decoder_outputs");
  untied.config["tie_word_embeddings"] = false;
  EXPECT_EQ(untied.open().config, open_t5(kGolden + "/t5_11").config);
  untied.config["num_decoder_layers"] = nullptr;
  EXPECT_EQ(untied.open().config.decoder_layers, 2);
}

TEST(OpenT5, EqualHeadIsTied) {
  Model model("t5_10");
  model.tensors["lm_head.weight"] = model.tensors["shared.weight"];
  T5Files files = model.open();
  EXPECT_TRUE(files.config.tied_head);
  EXPECT_FALSE(files.weights->has("lm_head.weight"));
  model.tensors["lm_head.weight"].values.back() += 1.0f;  // the last of its values only
  files = model.open();
  EXPECT_FALSE(files.config.tied_head);
  EXPECT_TRUE(files.config.scale_decoder_output);
}

TEST(OpenT5, UntiedHeadMustBeThere) {
  Model model("t5_11");
  model.config["tie_word_embeddings"] = false;
  model.tensors.erase("lm_head.weight");
  EXPECT_THAT(model.failure(), AllOf(HasSubstr("head is not tied"), HasSubstr("lm_head.weight is missing")));
}

TEST(OpenT5, AliasesOfTheTableAreIgnoredWhenEqual) {
  Model model("t5_11");
  const Model::Tensor table = model.tensors["shared.weight"];
  model.tensors["encoder.embed_tokens.weight"] = table;
  model.tensors["decoder.embed_tokens.weight"] = table;
  model.tensors["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = {{1}, {0.0f}};
  const T5Files original = open_t5(kGolden + "/t5_11");
  expect_same_weights(*model.open().weights, *original.weights);

  model.tensors.erase("shared.weight");  // a tied table may be stored under another of its names
  expect_same_weights(*model.open().weights, *original.weights);

  model.tensors["decoder.embed_tokens.weight"].values[5] = 9.0f;
  EXPECT_THAT(model.failure(),
              HasSubstr("decoder.embed_tokens.weight differs from encoder.embed_tokens.weight"));
}

TEST(OpenT5, WrongTensorsAreListedTogether) {
  Model model("t5_11");
  model.tensors.erase("encoder.final_layer_norm.weight");
  model.tensors["encoder.final_layer_norm.bias"] = {{1}, {0.0f}};
  model.tensors["lm_head.weight"] = {{2}, {0.0f, 0.0f}};
  EXPECT_THAT(model.failure(), AllOf(HasSubstr("missing: encoder.final_layer_norm.weight"),
                                     HasSubstr("misshapen: lm_head.weight is [2] and should be [120, 32]"),
                                     HasSubstr("unexpected: encoder.final_layer_norm.bias")));
}

TEST(OpenT5, ConfigOfAnotherModelIsNoticed) {
  Model model("t5_11");
  model.config["d_ff"] = 64;
  EXPECT_THAT(model.failure(),
              AllOf(HasSubstr("wi_0.weight is [48, 32] and should be [64, 32]"), HasSubstr("and 4 more")));
}

TEST(OpenT5, CutOffWeightsAreRefused) {
  const Folder folder;
  Model("t5_11").write(folder);
  const std::string bytes = read_bytes(folder / "model.safetensors");
  write_bytes(folder / "model.safetensors", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(error_of([&] { open_t5(folder.path()); }),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("cut off")));
  std::filesystem::remove(folder / "model.safetensors");
  EXPECT_THAT(error_of([&] { open_t5(folder.path()); }), HasSubstr("neither model.safetensors nor"));
}

TEST(OpenT5, UnusableConfigsAreNamed) {
  const auto with = [](const std::string& field, const Json& value) {
    Model model("t5_11");
    if (value.is_discarded())
      model.config.erase(field);
    else
      model.config[field] = value;
    const std::string message = model.failure<ConfigError>();
    EXPECT_THAT(message, HasSubstr("config.json: "));
    return message;
  };
  const Json gone(Json::value_t::discarded);
  EXPECT_THAT(with("model_type", "llama"), HasSubstr("model_type is 'llama', only 't5' is read"));
  EXPECT_THAT(with("model_type", gone), HasSubstr("'model_type' is missing"));
  EXPECT_THAT(with("d_model", gone), HasSubstr("'d_model' is missing"));
  EXPECT_THAT(with("d_model", "32"), HasSubstr("'d_model' must be a whole number, not \"32\""));
  EXPECT_THAT(with("num_heads", 4.5), HasSubstr("'num_heads' must be a whole number, not 4.5"));
  EXPECT_THAT(with("num_layers", 0), HasSubstr("encoder_layers is 0"));
  EXPECT_THAT(with("feed_forward_proj", "gated-silu"), HasSubstr("feed_forward_proj is 'gated-silu'"));
  EXPECT_THAT(with("decoder_start_token_id", 2),
              HasSubstr("decoder_start_token_id is 2 and pad_token_id is 0"));
  EXPECT_THAT(with("is_encoder_decoder", false), HasSubstr("both stacks"));
  EXPECT_THAT(with("tie_word_embeddings", 1), HasSubstr("must be true or false, not 1"));
  EXPECT_THAT(with("eos_token_id", {1, 2}), HasSubstr("'eos_token_id' must be a whole number, not [1,2]"));
}

TEST(OpenT5, MissingPathsAreNamed) {
  const Folder folder;
  EXPECT_THAT(error_of<ConfigError>([&] { open_t5(folder / "t5"); }), HasSubstr("no such file or folder"));
  EXPECT_THAT(error_of<ConfigError>([&] { open_t5(folder.path()); }), HasSubstr("there is no config.json"));
  write_bytes(folder / "config.json", "{");
  EXPECT_THAT(error_of([&] { open_t5(folder.path()); }), HasSubstr("config.json: not valid JSON"));
}

TEST(ImportT5, OneFileHoldsAllOfIt) {
  const std::string tokenizer = std::string("\0\xff\x80 pieces", 10);
  for (const char* name : kCases) {
    const Folder folder;
    Model(name).write(folder);
    write_bytes(folder / "spiece.model", tokenizer);
    EXPECT_EQ(open_t5(folder.path()).tokenizer_path, folder / "spiece.model");
    import_t5(folder.path(), folder / "t5.h5", DType::kFloat32);
    const T5Files original = open_t5(kGolden + "/" + name);
    const T5Files files = open_t5(folder / "t5.h5");
    EXPECT_EQ(files.config, original.config);
    EXPECT_EQ(files.tokenizer_model, tokenizer);
    EXPECT_EQ(files.tokenizer_path, "");
    expect_same_weights(*files.weights, *original.weights);
  }
}

TEST(ImportT5, BFloat16IsRoundedOnce) {
  const Folder folder;
  import_t5(kGolden + "/t5_11", folder / "t5.h5", DType::kBFloat16);
  const T5Files files = open_t5(folder / "t5.h5");
  EXPECT_EQ(files.tokenizer_model, "");
  EXPECT_EQ(files.weights->info("shared.weight").dtype, DType::kBFloat16);
  std::vector<float> expected = values_of(*open_t5(kGolden + "/t5_11").weights, "lm_head.weight");
  for (float& value : expected) value = bfloat16_to_float(float_to_bfloat16(value));
  EXPECT_EQ(values_of(*files.weights, "lm_head.weight"), expected);
  EXPECT_THAT(error_of<ConfigError>([&] { import_t5(kGolden + "/t5_11", folder / "i.h5", DType::kInt32); }),
              HasSubstr("float32 or bfloat16, not as int32"));
}

TEST(OpenT5, StoresThatAreNoModelAreRefused) {
  const Folder folder;
  {
    TensorStoreWriter writer(folder / "prompt.h5");
    writer.set("step", std::int64_t{3});
    writer.commit();
  }
  EXPECT_THAT(error_of<ConfigError>([&] { open_t5(folder / "prompt.h5"); }),
              AllOf(HasSubstr("prompt.h5"), HasSubstr("no attribute 't5_config'")));
  {
    TensorStoreWriter writer(folder / "empty.h5");
    writer.set("t5_config", t5_config_to_json(open_t5(kGolden + "/t5_10").config));
    writer.commit();
  }
  EXPECT_THAT(error_of([&] { open_t5(folder / "empty.h5"); }),
              AllOf(HasSubstr("missing: shared.weight, encoder.block.0"), HasSubstr("more")));
}

TEST(T5ConfigJson, IsStrict) {
  const T5Config config = t5_preset("base");
  EXPECT_EQ(t5_config_from_json(t5_config_to_json(config), "x"), config);
  Json json = Json::parse(t5_config_to_json(config));
  json["d_kvv"] = 64;
  EXPECT_THAT(error_of([&] { t5_config_from_json(json.dump(), "f"); }),
              AllOf(HasSubstr("f: 'd_kvv' is not known"), HasSubstr("d_kv")));
  json.erase("d_kvv");
  json.erase("heads");
  EXPECT_THAT(error_of([&] { t5_config_from_json(json.dump(), "f"); }), HasSubstr("f: 'heads' is missing"));
  json["heads"] = 0;
  EXPECT_THAT(error_of([&] { t5_config_from_json(json.dump(), "f"); }),
              HasSubstr("f: T5 config: heads is 0"));
}

TEST(ExportT5, ComesBackTheSame) {
  for (const char* name : kCases) {
    const Folder folder;
    const T5Files original = open_t5(kGolden + "/" + name);
    export_t5_hf(original, folder / "out/t5");
    const T5Files files = open_t5(folder / "out/t5");
    EXPECT_EQ(files.config, original.config);
    expect_same_weights(*files.weights, *original.weights);
    const Json config = Json::parse(read_bytes(folder / "out/t5/config.json"));
    EXPECT_EQ(config["tie_word_embeddings"], original.config.tied_head);
    EXPECT_EQ(config["scale_decoder_outputs"], original.config.scale_decoder_output);
  }
}

TEST(ExportT5, TokenizerAndTypeComeAlong) {
  const Folder folder;
  Model("t5_11").write(folder);
  write_bytes(folder / "spiece.model", "pieces");
  import_t5(folder.path(), folder / "t5.h5", DType::kBFloat16);
  export_t5_hf(open_t5(folder / "t5.h5"), folder / "out");
  EXPECT_EQ(read_bytes(folder / "out/spiece.model"), "pieces");
  EXPECT_EQ(Json::parse(read_bytes(folder / "out/config.json"))["torch_dtype"], "bfloat16");
  expect_same_weights(*open_t5(folder / "out").weights, *open_t5(folder / "t5.h5").weights);
}

TEST(ExportT5, TiedHeadWithoutScaleIsWrittenTwice) {
  const Folder folder;
  Model model("t5_10");
  model.config["scale_decoder_outputs"] = false;
  const T5Files original = model.open();
  EXPECT_FALSE(original.config.scale_decoder_output);
  export_t5_hf(original, folder / "out");
  EXPECT_TRUE(Safetensors(folder / "out").has("lm_head.weight"));
  EXPECT_EQ(Json::parse(read_bytes(folder / "out/config.json"))["tie_word_embeddings"], false);
  EXPECT_EQ(open_t5(folder / "out").config, original.config);
}

TEST(ExportT5, UntiedHeadWithScaleIsRefused) {
  const Folder folder;
  Model model("t5_11");
  model.config["scale_decoder_outputs"] = true;
  const T5Files files = model.open();
  EXPECT_THAT(error_of<ConfigError>([&] { export_t5_hf(files, folder / "out"); }),
              AllOf(HasSubstr("cannot be written for Hugging Face"), HasSubstr("d_model^-0.5")));
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

}  // namespace
}  // namespace trimtab
