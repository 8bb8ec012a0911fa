// SPDX-License-Identifier: Apache-2.0
#include "models/t5/t5_config_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <vector>

#include "runtime/check.h"
#include "runtime/nearest.h"

namespace trimtab {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// The fields of T5Config under our own names, in one place for reading and writing.
template <typename Config, typename Visitor>
void visit_fields(Config& config, Visitor&& visit) {
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
}

Json parse_object(std::string_view text, const std::string& where) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    fail("{}: not valid JSON: {}", where, error.what());
  }
  if (!json.is_object()) fail("{}: a JSON object is expected, this is {}", where, json.type_name());
  return json;
}

// Takes a field of exactly the right kind; JSON's whole numbers are also real numbers.
template <typename T>
void take(const Json& value, const char* name, const std::string& where, T& out) {
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) fail_config("{}: '{}' must be true or false, not {}", where, name, value.dump());
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!value.is_string()) fail_config("{}: '{}' must be a text, not {}", where, name, value.dump());
  } else if constexpr (std::is_integral_v<T>) {
    if (!value.is_number_integer())
      fail_config("{}: '{}' must be a whole number, not {}", where, name, value.dump());
  } else {
    if (!value.is_number()) fail_config("{}: '{}' must be a number, not {}", where, name, value.dump());
  }
  out = value.get<T>();
}

// Messages of check() name the field; this adds the file.
void check_with_place(const T5Config& config, const std::string& where) {
  try {
    check(config);
  } catch (const ConfigError& error) {
    fail_config("{}: {}", where, error.what());
  }
}

class HfReader {
 public:
  HfReader(std::string_view text, const std::string& where)
      : json_(parse_object(text, where)), where_(where) {}

  HfT5Config read() {
    HfT5Config result;
    T5Config& config = result.config;
    check_model_type();
    need("vocab_size", config.vocab);
    need("d_model", config.d_model);
    need("d_kv", config.d_kv);
    need("d_ff", config.d_ff);
    need("num_heads", config.heads);
    need("num_layers", config.encoder_layers);
    config.decoder_layers = config.encoder_layers;
    may("num_decoder_layers", config.decoder_layers);
    may("relative_attention_num_buckets", config.buckets);
    may("relative_attention_max_distance", config.max_distance);
    may("layer_norm_epsilon", config.norm_epsilon);
    may("dropout_rate", config.dropout);
    may("pad_token_id", config.pad_id);
    read_eos(config);
    std::int64_t start = config.pad_id;
    may("decoder_start_token_id", start);
    if (start != config.pad_id)
      fail_config(
          "{}: decoder_start_token_id is {} and pad_token_id is {}: only models that start with padding run",
          where_, start, config.pad_id);
    config.gated_gelu = is_gated();
    bool tie = true;
    may("tie_word_embeddings", tie);
    result.says_untied = !tie;
    config.tied_head = true;
    config.scale_decoder_output = tie;
    may("scale_decoder_outputs", config.scale_decoder_output);
    check_with_place(config, where_);
    return result;
  }

 private:
  // Null is what transformers writes for "the default".
  const Json* find(const char* name) const {
    const auto value = json_.find(name);
    return value == json_.end() || value->is_null() ? nullptr : &*value;
  }
  template <typename T>
  bool may(const char* name, T& out) const {
    const Json* value = find(name);
    if (value != nullptr) take(*value, name, where_, out);
    return value != nullptr;
  }
  void need(const char* name, std::int64_t& out) const {
    if (!may(name, out)) fail_config("{}: '{}' is missing", where_, name);
  }

  void check_model_type() const {
    std::string type = "t5";
    if (!may("model_type", type))
      fail_config("{}: 'model_type' is missing: is this a model's config.json?", where_);
    if (type != "t5") fail_config("{}: model_type is '{}', only 't5' is read", where_, type);
    bool both = true;
    may("is_encoder_decoder", both);
    if (!both) fail_config("{}: is_encoder_decoder is false: a T5 with both stacks is needed", where_);
  }

  void read_eos(T5Config& config) const {
    const Json* eos = find("eos_token_id");
    if (eos == nullptr) return;
    const bool list = eos->is_array() && eos->size() == 1;  // transformers allows several ends
    take(list ? eos->front() : *eos, "eos_token_id", where_, config.eos_id);
  }

  bool is_gated() const {
    std::string kind = "relu";  // the first configs do not have this field
    may("feed_forward_proj", kind);
    if (kind == "relu") return false;
    if (kind == "gated-gelu" || kind == "gated-gelu_new") return true;
    fail_config("{}: feed_forward_proj is '{}', only 'relu' (T5 1.0) and 'gated-gelu' (T5 1.1) are known",
                where_, kind);
  }

  Json json_;
  const std::string& where_;
};

}  // namespace

std::string t5_config_to_json(const T5Config& config) {
  OrderedJson json;
  visit_fields(config, [&](const char* name, const auto& value) { json[name] = value; });
  return json.dump();
}

T5Config t5_config_from_json(std::string_view text, const std::string& where) {
  const Json json = parse_object(text, where);
  T5Config config;
  std::vector<std::string> known;
  visit_fields(config, [&](const char* name, auto& value) {
    known.emplace_back(name);
    if (!json.contains(name)) fail("{}: '{}' is missing", where, name);
    take(json[name], name, where, value);
  });
  for (const auto& [name, value] : json.items())
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail("{}: '{}' is not known{}: was the file written by a newer version?", where, name,
           did_you_mean(name, known));
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
