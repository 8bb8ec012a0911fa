// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_config_json.h"

#include "models/formats/json_fields.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// The fields of T5Config under our own names, in one place for reading and writing.
constexpr auto kFields = [](auto& config, auto&& visit) {
  visit("vocab", config.vocab);
  visit("d_model", config.d_model);
  visit("d_kv", config.d_kv);
  visit("d_ff", config.d_ff);
  visit("heads", config.heads);
  visit("encoder_layers", config.encoder_layers);
  visit("decoder_layers", config.decoder_layers);
  visit("buckets", config.buckets);
  visit("max_distance", config.max_distance);
  visit("norm_epsilon", config.norm_epsilon);
  visit("dropout", config.dropout);
  visit("gated_gelu", config.gated_gelu);
  visit("tied_head", config.tied_head);
  visit("scale_decoder_output", config.scale_decoder_output);
  visit("pad_id", config.pad_id);
  visit("eos_id", config.eos_id);
};

class HfReader {
 public:
  HfReader(std::string_view text, const std::string& where)
      : json_(parse_json_object(text, where)), fields_(json_, where), where_(where) {}

  HfT5Config read() {
    HfT5Config result;
    T5Config& config = result.config;
    check_model_type();
    fields_.need("vocab_size", config.vocab);
    fields_.need("d_model", config.d_model);
    fields_.need("d_kv", config.d_kv);
    fields_.need("d_ff", config.d_ff);
    fields_.need("num_heads", config.heads);
    fields_.need("num_layers", config.encoder_layers);
    config.decoder_layers = config.encoder_layers;
    fields_.may("num_decoder_layers", config.decoder_layers);
    fields_.may("relative_attention_num_buckets", config.buckets);
    fields_.may("relative_attention_max_distance", config.max_distance);
    fields_.may("layer_norm_epsilon", config.norm_epsilon);
    fields_.may("dropout_rate", config.dropout);
    fields_.may("pad_token_id", config.pad_id);
    read_eos(config);
    std::int64_t start = config.pad_id;
    fields_.may("decoder_start_token_id", start);
    if (start != config.pad_id)
      fail_config(
          "{}: decoder_start_token_id is {} and pad_token_id is {}: only models that start with padding run",
          where_, start, config.pad_id);
    config.gated_gelu = is_gated();
    bool tie = true;
    fields_.may("tie_word_embeddings", tie);
    result.says_untied = !tie;
    config.tied_head = true;
    config.scale_decoder_output = tie;
    fields_.may("scale_decoder_outputs", config.scale_decoder_output);
    check_with_place(config, where_);
    return result;
  }

 private:
  void check_model_type() const {
    std::string type = "t5";
    if (!fields_.may("model_type", type))
      fail_config("{}: 'model_type' is missing: is this a model's config.json?", where_);
    if (type != "t5") fail_config("{}: model_type is '{}', only 't5' is read", where_, type);
    bool both = true;
    fields_.may("is_encoder_decoder", both);
    if (!both) fail_config("{}: is_encoder_decoder is false: a T5 with both stacks is needed", where_);
  }

  void read_eos(T5Config& config) const {
    const Json* eos = fields_.find("eos_token_id");
    if (eos == nullptr) return;
    const bool list = eos->is_array() && eos->size() == 1;  // transformers allows several ends
    take_json(list ? eos->front() : *eos, "eos_token_id", where_, config.eos_id);
  }

  bool is_gated() const {
    std::string kind = "relu";  // the first configs do not have this field
    fields_.may("feed_forward_proj", kind);
    if (kind == "relu") return false;
    if (kind == "gated-gelu" || kind == "gated-gelu_new") return true;
    fail_config("{}: feed_forward_proj is '{}', only 'relu' (T5 1.0) and 'gated-gelu' (T5 1.1) are known",
                where_, kind);
  }

  Json json_;
  JsonFields fields_;
  const std::string& where_;
};

}  // namespace

std::string t5_config_to_json(const T5Config& config) { return config_to_json(config, kFields); }

T5Config t5_config_from_json(std::string_view text, const std::string& where) {
  const auto config = config_from_json<T5Config>(text, where, kFields);
  check_with_place(config, where);
  return config;
}

HfT5Config t5_config_from_hf(std::string_view text, const std::string& where) {
  return HfReader(text, where).read();
}

std::string t5_config_to_hf(const T5Config& config, DType type, bool head_in_file) {
  if (!config.tied_head && config.scale_decoder_output)
    fail_config(
        "an untied head behind a scaled decoder output cannot be written for Hugging Face: versions before 5 "
        "would read "
        "it without the scale; multiply lm_head.weight by d_model^-0.5 and set scale_decoder_output to "
        "false");
  OrderedJson json;
  json["architectures"] = {"T5ForConditionalGeneration"};
  json["model_type"] = "t5";
  json["is_encoder_decoder"] = true;
  json["vocab_size"] = config.vocab;
  json["d_model"] = config.d_model;
  json["d_kv"] = config.d_kv;
  json["d_ff"] = config.d_ff;
  json["num_layers"] = config.encoder_layers;
  json["num_decoder_layers"] = config.decoder_layers;
  json["num_heads"] = config.heads;
  json["relative_attention_num_buckets"] = config.buckets;
  json["relative_attention_max_distance"] = config.max_distance;
  json["dropout_rate"] = config.dropout;
  json["layer_norm_epsilon"] = config.norm_epsilon;
  json["initializer_factor"] = 1.0;
  json["feed_forward_proj"] = config.gated_gelu ? "gated-gelu" : "relu";
  json["dense_act_fn"] = config.gated_gelu ? "gelu_new" : "relu";
  json["is_gated_act"] = config.gated_gelu;
  // Version 4 ties head and scales output by the one, version 5 scales by the other and ties what the tensors
  // allow.
  json["tie_word_embeddings"] = !head_in_file;
  json["scale_decoder_outputs"] = config.scale_decoder_output;
  json["decoder_start_token_id"] = config.pad_id;
  json["pad_token_id"] = config.pad_id;
  json["eos_token_id"] = config.eos_id;
  json["n_positions"] = 512;
  json["use_cache"] = true;
  json["torch_dtype"] = name_of(type);
  return json.dump(2) + "\n";
}

}  // namespace trimtab
