// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_config.h"

#include <algorithm>
#include <limits>
#include <set>

#include "models/file_checks.h"

namespace trimtab {
namespace {

using test::error_of;
using ::testing::HasSubstr;

TEST(T5Config, PresetsHaveTheParametersThatThePaperFroze) {
  EXPECT_EQ(parameter_count(t5_preset("small")), 76'961'152);
  EXPECT_EQ(parameter_count(t5_preset("base")), 247'577'856);
  EXPECT_EQ(parameter_count(t5_preset("large")), 783'150'080);
  EXPECT_EQ(parameter_count(t5_preset("xl")), 2'849'757'184);
  EXPECT_EQ(parameter_count(t5_preset("xxl")), 11'135'332'352);
}

TEST(T5Config, PresetsAreSensible) {
  for (const char* name : {"small", "base", "large", "xl", "xxl"})
    EXPECT_NO_THROW(check(t5_preset(name))) << name;
}

TEST(T5Config, UnknownPresetNamesTheKnownOnes) {
  EXPECT_THAT(error_of<ConfigError>([] { t5_preset("3b"); }),
              "no T5 of size '3b': the sizes are small, base, large, xl, xxl");
}

TEST(T5Config, WeightsAreInTheFixedOrderAndUnique) {
  T5Config config = t5_preset("small");
  config.encoder_layers = 2;
  config.decoder_layers = 1;
  std::vector<std::string> names;
  for (const WeightShape& weight : t5_weights(config)) names.push_back(weight.name);
  EXPECT_EQ(names.front(), "shared.weight");
  EXPECT_EQ(names.back(), "lm_head.weight");
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  const auto place = [&](const std::string& name) { return std::ranges::find(names, name) - names.begin(); };
  EXPECT_LT(place("encoder.block.1.layer.1.layer_norm.weight"), place("encoder.final_layer_norm.weight"));
  EXPECT_LT(place("encoder.final_layer_norm.weight"),
            place("decoder.block.0.layer.0.SelfAttention.q.weight"));
  EXPECT_LT(place("decoder.block.0.layer.2.layer_norm.weight"), place("decoder.final_layer_norm.weight"));
  EXPECT_EQ(names.size(), 1u + 2 * 9 + 1 + 1 + 14 + 1 + 1 + 1);
}

TEST(T5Config, OnlyTheFirstBlockOfAStackHasABiasTable) {
  int tables = 0;
  for (const WeightShape& weight : t5_weights(t5_preset("small"))) {
    if (weight.name.find("relative_attention_bias") == std::string::npos) continue;
    ++tables;
    EXPECT_THAT(weight.name, HasSubstr(".block.0.layer.0.SelfAttention."));
    EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{32, 6}));
  }
  EXPECT_EQ(tables, 2);
}

TEST(T5Config, ReluAndTiedHeadChangeTheWeights) {
  T5Config config;
  config.gated_gelu = false;
  config.tied_head = true;
  std::set<std::string> names;
  for (const WeightShape& weight : t5_weights(config)) names.insert(weight.name);
  EXPECT_TRUE(names.contains("encoder.block.0.layer.1.DenseReluDense.wi.weight"));
  EXPECT_FALSE(names.contains("encoder.block.0.layer.1.DenseReluDense.wi_0.weight"));
  EXPECT_FALSE(names.contains("lm_head.weight"));
}

TEST(T5Config, AttentionMapsHaveTheInnerWidth) {
  for (const WeightShape& weight : t5_weights(t5_preset("small"))) {  // 6 * 64 = 384, d_model 512
    if (weight.name.ends_with(".q.weight")) {
      EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{384, 512}));
    }
    if (weight.name.ends_with(".o.weight")) {
      EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{512, 384}));
    }
  }
}

struct Wrong {
  void (*change)(T5Config&);
  const char* message;
};

TEST(T5Config, NonsenseIsNamed) {
  const Wrong wrongs[] = {
      {[](T5Config& c) { c.vocab = 0; }, "vocab is 0"},
      {[](T5Config& c) { c.d_model = -1; }, "d_model is -1"},
      {[](T5Config& c) { c.d_kv = 0; }, "d_kv is 0"},
      {[](T5Config& c) { c.d_ff = 0; }, "d_ff is 0"},
      {[](T5Config& c) { c.heads = 0; }, "heads is 0"},
      {[](T5Config& c) { c.encoder_layers = 0; }, "encoder_layers is 0"},
      {[](T5Config& c) { c.decoder_layers = 0; }, "decoder_layers is 0"},
      {[](T5Config& c) { c.encoder_layers = 10001; }, "10001 layers; at most 10000"},
      {[](T5Config& c) { c.decoder_layers = 10001; }, "10001 layers; at most 10000"},
      {[](T5Config& c) { c.buckets = 2; }, "buckets is 2"},
      {[](T5Config& c) { c.buckets = 31; }, "buckets is 31, must be even"},
      {[](T5Config& c) { c.max_distance = 16; }, "max_distance is 16, must be more than buckets / 2 = 16"},
      {[](T5Config& c) { c.norm_epsilon = 0; }, "norm_epsilon is 0"},
      {[](T5Config& c) { c.norm_epsilon = std::numeric_limits<double>::quiet_NaN(); }, "norm_epsilon is nan"},
      {[](T5Config& c) { c.dropout = 1.0; }, "dropout is 1"},
      {[](T5Config& c) { c.dropout = -0.1; }, "dropout is -0.1"},
      {[](T5Config& c) { c.pad_id = 32128; }, "pad_id is 32128, must be in [0, vocab = 32128)"},
      {[](T5Config& c) { c.eos_id = -1; }, "eos_id is -1"},
      {[](T5Config& c) { c.eos_id = 0; }, "eos_id and pad_id are both 0"},
  };
  for (const Wrong& wrong : wrongs) {
    T5Config config;
    wrong.change(config);
    EXPECT_THAT(error_of<ConfigError>([&] { check(config); }), HasSubstr(wrong.message));
  }
}

}  // namespace
}  // namespace trimtab
