// SPDX-License-Identifier: Apache-2.0
#include "models/llama/llama_config_json.h"

#include <algorithm>

#include "models/formats/json_fields.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// The fields of LlamaConfig under our own names, in one place for reading and writing.
constexpr auto kFields = [](auto& config, auto&& visit) {
  visit("vocab", config.vocab);
  visit("d_model", config.d_model);
  visit("layers", config.layers);
  visit("heads", config.heads);
  visit("kv_heads", config.kv_heads);
  visit("head_dim", config.head_dim);
  visit("d_ff", config.d_ff);
  visit("max_positions", config.max_positions);
  visit("norm_epsilon", config.norm_epsilon);
  visit("rotary_base", config.rotary_base);
  visit("rotary_scaling", config.rotary_scaling.kind);
  visit("rotary_factor", config.rotary_scaling.factor);
  visit("rotary_low_frequency_factor", config.rotary_scaling.low_frequency_factor);
  visit("rotary_high_frequency_factor", config.rotary_scaling.high_frequency_factor);
  visit("rotary_original_positions", config.rotary_scaling.original_positions);
  visit("rotary_divisors", config.rotary_scaling.divisors);
  visit("rotary_interleaved", config.rotary_interleaved);
  visit("qkv_bias", config.qkv_bias);
  visit("qk_norm", config.qk_norm);
  visit("tied_head", config.tied_head);
  visit("pad_id", config.pad_id);
  visit("bos_id", config.bos_id);
  visit("eos_id", config.eos_id);
};

class HfReader {
 public:
  HfReader(std::string_view text, const std::string& where)
      : json_(parse_json_object(text, where)), fields_(json_, where), where_(where) {}

  LlamaConfig read() {
    LlamaConfig config;
    read_type(config);
    fields_.need("vocab_size", config.vocab);
    fields_.need("hidden_size", config.d_model);
    fields_.need("intermediate_size", config.d_ff);
    fields_.need("num_hidden_layers", config.layers);
    fields_.need("num_attention_heads", config.heads);
    config.kv_heads = config.heads;
    fields_.may("num_key_value_heads", config.kv_heads);
    if (!fields_.may("head_dim", config.head_dim))
      config.head_dim = type_ == "qwen3" ? 128 : config.d_model / std::max<std::int64_t>(1, config.heads);
    config.norm_epsilon = 1e-6;
    fields_.may("rms_norm_eps", config.norm_epsilon);
    fields_.may("tie_word_embeddings", config.tied_head);
    fields_.need("max_position_embeddings", config.max_positions);
    read_window(config);
    read_rotary(config);
    read_ids(config);
    refuse_others();
    check_with_place(config, where_);
    return config;
  }

 private:
  void read_type(LlamaConfig& config) {
    fields_.need("model_type", type_);
    if (std::ranges::count(llama_model_types(), type_) == 0)
      fail_config("{}: model_type is '{}', only {} are read", where_, type_,
                  fmt::join(llama_model_types(), ", "));
    config.qkv_bias = type_ == "qwen2";
    config.qk_norm = type_ == "qwen3";
  }

  // Within the window, attention is what it would be without; longer rows are refused like any beyond the
  // positions that the model knows.
  void read_window(LlamaConfig& config) const {
    bool used = type_ == "mistral";
    if (type_.starts_with("qwen")) fields_.may("use_sliding_window", used);
    const auto named = json_.find("sliding_window");
    if (!used || (named != json_.end() && named->is_null())) return;
    std::int64_t window = 4096;  // of each type that has one
    fields_.may("sliding_window", window);
    config.max_positions = std::min(config.max_positions, window);
  }

  // transformers 5 has one field `rope_parameters`, versions before it `rope_theta` and `rope_scaling`. Of
  // both objects the older one counts, and a base inside it before the one beside it (transformers 5.23,
  // modeling_rope_utils.py: convert_rope_params_to_dict).
  void read_rotary(LlamaConfig& config) const {
    fields_.may("rope_theta", config.rotary_base);
    refuse_part(fields_);
    for (const char* name : {"rope_scaling", "rope_parameters"}) {
      const Json* object = fields_.find(name);
      if (object == nullptr) continue;
      if (!object->is_object())
        fail_config("{}: '{}' must be an object, not {}", where_, name, object->dump());
      if (object->empty()) continue;
      refuse_unknown(*object, name);
      return read_scaling(JsonFields(*object, where_, std::string(name) + "."), config);
    }
  }

  void refuse_part(const JsonFields& fields) const {
    double share = 1.0;
    fields.may("partial_rotary_factor", share);
    if (share != 1.0)
      fail_config("{}: only heads that turn as a whole run, partial_rotary_factor is {}", where_, share);
  }

  // What scales positions in a way that we do not know, or each kind of layer in its own.
  void refuse_unknown(const Json& rope, const char* name) const {
    static const std::vector<std::string> known = {"rope_type",        "type",
                                                   "rope_theta",       "factor",
                                                   "low_freq_factor",  "partial_rotary_factor",
                                                   "high_freq_factor", "original_max_position_embeddings"};
    for (const auto& [key, value] : rope.items())
      if (!value.is_null() && std::ranges::count(known, key) == 0)
        fail_config("{}: '{}.{}' is not known{}: models that need it are not run", where_, name, key,
                    did_you_mean(key, known));
  }

  void read_scaling(const JsonFields& rope, LlamaConfig& config) const {
    RotaryScaling& scaling = config.rotary_scaling;
    std::string type = "default";
    if (!rope.may("rope_type", type) && !rope.may("type", type) && rope.find("factor") != nullptr)
      rope.need("rope_type", type);
    rope.may("rope_theta", config.rotary_base);
    refuse_part(rope);
    if (type == "default") return;
    if (type != "linear" && type != "llama3")
      fail_config("{}: the rotary scaling '{}' is not known, only default, linear and llama3", where_, type);
    scaling.kind = type;
    rope.need("factor", scaling.factor);
    if (type == "linear") return;
    rope.need("low_freq_factor", scaling.low_frequency_factor);
    rope.need("high_freq_factor", scaling.high_frequency_factor);
    rope.need("original_max_position_embeddings", scaling.original_positions);
  }

  void read_ids(LlamaConfig& config) const {
    // Where it is missing, what the vocabulary says ends a text does.
    const Json* eos = fields_.find("eos_token_id");
    const bool list = eos != nullptr && eos->is_array();
    if (list && eos->empty()) eos = nullptr;
    if (eos != nullptr) take_json(list ? eos->front() : *eos, "eos_token_id", where_, config.eos_id);
    fields_.may("bos_token_id", config.bos_id);
    config.pad_id = config.eos_id;
    std::int64_t pad = -1;  // what some files write for "none"
    if (fields_.may("pad_token_id", pad) && pad >= 0) config.pad_id = pad;
  }

  void refuse_others() const {
    std::string activation = "silu";
    fields_.may("hidden_act", activation);
    if (activation != "silu" && activation != "swish")
      fail_config("{}: hidden_act is '{}', only 'silu' runs", where_, activation);
    for (const char* name : {"attention_bias", "mlp_bias"}) {
      bool bias = false;
      fields_.may(name, bias);
      if (bias)
        fail_config("{}: {} is true: only Qwen2's biases of queries, keys and values run", where_, name);
    }
  }

  Json json_;
  JsonFields fields_;
  const std::string& where_;
  std::string type_;
};

std::string model_type(const LlamaConfig& config) {
  if (config.qkv_bias && config.qk_norm)
    fail_config(
        "no model of Hugging Face's has both biases and norms of queries and keys: it cannot be written");
  if (config.rotary_interleaved)
    fail_config(
        "columns that turn as neighbours cannot be written for Hugging Face, whose models turn halves");
  if (config.rotary_scaling.kind == "divisors")
    fail_config(
        "a divisor for each pair of columns, as GGUF files scale rotary positions, cannot be written for "
        "Hugging Face");
  return config.qkv_bias ? "qwen2" : config.qk_norm ? "qwen3" : "llama";
}

}  // namespace

std::string llama_config_to_json(const LlamaConfig& config) { return config_to_json(config, kFields); }

LlamaConfig llama_config_from_json(std::string_view text, const std::string& where) {
  const auto config = config_from_json<LlamaConfig>(text, where, kFields);
  check_with_place(config, where);
  return config;
}

const std::vector<std::string>& llama_model_types() {
  static const std::vector<std::string> types = {"llama", "mistral", "qwen2", "qwen3"};
  return types;
}

LlamaConfig llama_config_from_hf(std::string_view text, const std::string& where) {
  return HfReader(text, where).read();
}

std::string llama_config_to_hf(const LlamaConfig& config, DType type) {
  const std::string kind = model_type(config);
  OrderedJson json;
  const std::string name = kind == "llama" ? "Llama" : kind == "qwen2" ? "Qwen2" : "Qwen3";
  json["architectures"] = {name + "ForCausalLM"};
  json["model_type"] = kind;
  json["vocab_size"] = config.vocab;
  json["hidden_size"] = config.d_model;
  json["intermediate_size"] = config.d_ff;
  json["num_hidden_layers"] = config.layers;
  json["num_attention_heads"] = config.heads;
  json["num_key_value_heads"] = config.kv_heads;
  json["head_dim"] = config.head_dim;
  json["hidden_act"] = "silu";
  json["max_position_embeddings"] = config.max_positions;
  json["rms_norm_eps"] = config.norm_epsilon;
  json["tie_word_embeddings"] = config.tied_head;
  json["attention_bias"] = false;
  json["use_sliding_window"] = false;
  const RotaryScaling& scaling = config.rotary_scaling;
  OrderedJson rope;
  rope["rope_type"] = scaling.kind == "none" ? "default" : scaling.kind;
  if (scaling.kind != "none") rope["factor"] = scaling.factor;
  if (scaling.kind == "llama3") {
    rope["low_freq_factor"] = scaling.low_frequency_factor;
    rope["high_freq_factor"] = scaling.high_frequency_factor;
    rope["original_max_position_embeddings"] = scaling.original_positions;
  }
  // Version 4 reads the first two, version 5 the third.
  json["rope_theta"] = config.rotary_base;
  json["rope_scaling"] = scaling.kind == "none" ? OrderedJson() : rope;
  rope["rope_theta"] = config.rotary_base;
  json["rope_parameters"] = rope;
  json["pad_token_id"] = config.pad_id;
  json["bos_token_id"] = config.bos_id < 0 ? OrderedJson() : OrderedJson(config.bos_id);
  json["eos_token_id"] = config.eos_id;
  json["use_cache"] = true;
  json["torch_dtype"] = name_of(type);
  return json.dump(2) + "\n";
}

}  // namespace trimtab
